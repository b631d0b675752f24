"""Whether a cluster lets this process do its work: asked at its start, so that what is missing is said at once and in full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from memfold.infra.acls import Acl, acls_of
from memfold.memory.errors import NotAuthorized
from memfold.streams.connection import Connection, once_settled
from memfold.streams.refusals import is_refusal

TIMEOUT = 8.0


@once_settled
def require_rights(admin: AdminClient, connection: Connection, roles: Sequence[str]) -> None:
    """Raises NotAuthorized naming each right that the roles need and this client has not, KafkaException where none answers."""
    missing = [
        f"{operation} on {acl.resource} {acl.name}"
        for acl, allowed in _allowed(admin, acls_of(roles))
        for operation in acl.operations
        if allowed is not None and operation.upper() not in allowed
    ]
    if missing:
        raise NotAuthorized(
            f"Kafka at {connection.bootstrap_servers} does not let {connection.who} work as {', '.join(roles)}: it lacks "
            f"{'; '.join(missing)}. Grant what `memfold infra acls {' '.join(roles)} --principal {connection.who}` prints"
        )


def _allowed(admin: AdminClient, acls: Iterable[Acl]) -> Iterable[tuple[Acl, set[str] | None]]:
    """Each ACL with the operations that its resource allows, None for a topic that is not there; a prefix has no resource to ask."""
    acls = [acl for acl in acls if not acl.prefixed]
    topics = [acl.name for acl in acls if acl.resource == "topic"]
    groups = [acl.name for acl in acls if acl.resource == "group"]
    asked: dict[str, Future[Any]] = {}
    if topics:
        asked |= admin.describe_topics(
            TopicCollection(topics), include_authorized_operations=True, request_timeout=TIMEOUT
        )
    if groups:
        asked |= admin.describe_consumer_groups(
            groups, include_authorized_operations=True, request_timeout=TIMEOUT
        )
    cluster = admin.describe_cluster(include_authorized_operations=True, request_timeout=TIMEOUT)
    for acl in acls:
        yield acl, _operations(cluster if acl.resource == "cluster" else asked[acl.name])


def _operations(described: Future[Any]) -> set[str] | None:
    try:
        found = described.result().authorized_operations
    except KafkaException as failure:
        if is_refusal(failure.args[0]):
            return set()
        if failure.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise
    return {operation.name.replace("_", "") for operation in found or ()}
