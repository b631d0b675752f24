"""Who follows the log by a consumer group: workers, on whatever machine they are. Kafka knows them; the home may not."""

from __future__ import annotations

import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from memfold.infra.groups import FOLLOWING, GROUP_PREFIX
from memfold.streams.broker_settings import TIMEOUT
from memfold.streams.connection import Connection, once_settled
from memfold.streams.refusals import failure_of
from memfold.streams.topics import admin_of

_POLL = 0.5


def followers(connection: Connection, patience: float = 0.0) -> list[str]:
    """The members of every group of memfold's, each as `group (client at host)`; none: nobody follows the log.

    `patience`: seconds to wait for them to go. A worker that was stopped or killed is a member until its session of 6 s ends.
    Raises NotAuthorized where the groups of workers cannot be looked at, BrokerUnreachable.
    """
    admin, deadline = admin_of(connection), time.monotonic() + patience
    try:
        while True:
            found = _members(admin)
            if not found or time.monotonic() >= deadline:
                return found
            time.sleep(_POLL)
    except KafkaException as failure:
        raise failure_of(connection, failure.args[0]) from failure


@once_settled
def _members(admin: AdminClient) -> list[str]:
    listed = admin.list_consumer_groups(request_timeout=TIMEOUT).result()
    for failure in listed.errors:
        raise failure
    # A group that may not be looked at is not listed: those of the workers are asked for by name, and a refusal is an error.
    names = {GROUP_PREFIX + role for role in FOLLOWING} | {one.group_id for one in listed.valid}
    ours = sorted(name for name in names if name.startswith(GROUP_PREFIX))
    described = admin.describe_consumer_groups(ours, request_timeout=TIMEOUT)
    return [
        f"{group} ({member.client_id} at {member.host})"
        for group, future in described.items()
        for member in future.result().members
    ]
