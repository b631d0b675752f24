"""What a cluster means by an error: that it does not answer, does not believe who asks, does not allow it, or is too old to know."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaError

from memfold.memory.errors import BrokerTooOld, BrokerUnreachable, MemfoldError, NotAuthorized
from memfold.streams.connection import Connection

_REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_STRANGER = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL}
_TOO_OLD = {KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION}

OLDEST = (2, 8)
"""Kafka's first version on which every right of `memfold infra acls` is enough: an older one wants IdempotentWrite as well."""


def is_refusal(error: KafkaError) -> bool:
    """Whether the broker knows who asks, and says no."""
    return error.code() in _REFUSED


def is_stranger(error: KafkaError) -> bool:
    """Whether broker and client do not believe each other who they are."""
    return error.code() in _STRANGER


def failure_of(connection: Connection, error: KafkaError, heard: Sequence[KafkaError] = ()) -> MemfoldError:
    """The error to raise. `heard`: what librdkafka said meanwhile of its connections; the question itself only timed out then."""
    servers = connection.bootstrap_servers
    strangers = [each for each in (*heard, error) if is_stranger(each)]
    if strangers:
        return NotAuthorized(
            f"Kafka at {servers} and this client do not trust each other ({strangers[0].str()}); nothing was written. It came as "
            f"{connection.who} over {connection.security_protocol}; correct MEMFOLD_SASL_* and MEMFOLD_SSL_*"
        )
    if is_refusal(error):
        return NotAuthorized(
            f"Kafka at {servers} does not allow {connection.who} what was asked ({error.str()}); nothing was written. Grant the "
            "role what `memfold infra acls ROLE` prints; missing topics are made once, by `memfold infra topics` as role setup"
        )
    if error.code() in _TOO_OLD:
        return BrokerTooOld(
            f"Kafka at {servers} does not know a request that memfold makes at every start ({error.str()}): it must be "
            f"{'.'.join(map(str, OLDEST))} or newer"
        )
    return BrokerUnreachable(
        f"no Kafka answers at {servers} ({error.str()}); "
        "nothing was written. Start one with `memfold up`, or correct bootstrap_servers"
    )


def too_old(setting: str | None) -> bool:
    """Of a broker's `inter.broker.protocol.version`, for example `2.7-IV2`; Kafka 4 and later have no such setting."""
    if not setting:
        return False
    numbers = setting.partition("-")[0].split(".")
    return tuple(int(number) for number in numbers[:2]) < OLDEST
