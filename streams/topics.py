"""memfold's topics: made with the settings that keep history, and refused with any others.

Kafka's defaults lose history after seven days and let a client write its own time. The guard runs at every start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from memfold.memory.errors import TopicMisconfigured
from memfold.schemas.partitions import COMMANDS, EVENTS, KEPT, QUARANTINE, SEALS
from memfold.streams.broker_settings import TIMEOUT, wrong_broker
from memfold.streams.connection import Connection, once_settled
from memfold.streams.counts import check_counts
from memfold.streams.refusals import failure_of, is_stranger
from memfold.streams.rights import require_rights

MAX_RECORD = 8 * 1024 * 1024
REQUIRED = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(MAX_RECORD),
}
_UNFINISHED = "; where `memfold restore` was interrupted, run it again instead"


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """How topics are made. `min_insync` below `replication` lets one broker be down."""

    partitions: int = 4
    replication: int = 1
    min_insync: int = 1


def ensure_topics(
    connection: Connection,
    plan: TopicPlan,
    roles: Sequence[str] = (),
    known: int | None = None,
    *,
    beyond: bool = False,
) -> int:
    """Make the topics that are missing and check all of them; the partition count that the log has.

    `known`: the count that the log was made with, where that is written down. `beyond`: for who puts it right, partitions that were
    added since are let be.
    Raises BrokerUnreachable within 10 s, NotAuthorized where the roles lack a right, BrokerTooOld, TopicMisconfigured naming every
    wrong setting.
    """
    heard: list[KafkaError] = []
    admin = admin_of(connection, heard.append)
    try:
        existing = _known(admin, heard).topics
        counts = {name: len(topic.partitions) for name, topic in existing.items()}
        if roles:
            require_rights(admin, connection, roles)
        partitions = known or counts.get(COMMANDS) or counts.get(EVENTS) or plan.partitions
        check_counts(counts, partitions, beyond)
        _create(admin, plan, counts, partitions)
        wrong = _wrong_settings(admin, plan) + wrong_broker(admin)
    except KafkaException as failure:
        admin.poll(0)
        raise failure_of(connection, failure.args[0], heard) from failure
    if wrong:
        raise TopicMisconfigured(
            "this log would not keep history: "
            + "; ".join(wrong)
            + ". Correct it with kafka-configs, then start again"
            + (_UNFINISHED if any("is CreateTime" in each for each in wrong) else "")
        )
    return partitions


def partition_counts(connection: Connection) -> dict[str, int]:
    """How many each kept topic that there is has now, whatever it was made with. Raises BrokerUnreachable, NotAuthorized."""
    heard: list[KafkaError] = []
    admin = admin_of(connection, heard.append)
    try:
        topics = _known(admin, heard).topics
    except KafkaException as failure:
        admin.poll(0)
        raise failure_of(connection, failure.args[0], heard) from failure
    return {name: len(topics[name].partitions) for name in KEPT if name in topics}


def _known(admin: AdminClient, heard: list[KafkaError]) -> ClusterMetadata:
    """Asked twice: a broker that refuses who comes is told from one that is slow, without waiting as long as for the latter."""
    try:
        return admin.list_topics(timeout=1)
    except KafkaException:
        admin.poll(0)
        if any(is_stranger(error) for error in heard):
            raise
        return admin.list_topics(timeout=TIMEOUT - 1)


def admin_of(connection: Connection, hears: Callable[[KafkaError], None] | None = None) -> AdminClient:
    """`hears` is told, in `poll`, what goes wrong with its connections."""
    settings: Any = connection.librdkafka(socket_timeout_ms=10_000)
    return AdminClient(settings | ({"error_cb": hears} if hears else {}))


def _create(admin: AdminClient, plan: TopicPlan, counts: Mapping[str, int], partitions: int) -> None:
    settings = REQUIRED | {"min.insync.replicas": str(plan.min_insync)}
    new = [
        NewTopic(name, count, plan.replication, config=settings)
        for name, count in (*((name, partitions) for name in KEPT), (QUARANTINE, 1), (SEALS, 1))
        if name not in counts
    ]
    if not new:
        return
    for future in admin.create_topics(new, operation_timeout=TIMEOUT).values():
        try:
            future.result()
        except KafkaException as failure:
            if failure.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR:
                raise TopicMisconfigured(
                    f"MEMFOLD_REPLICATION is {plan.replication}: {failure.args[0].str()} No topic was made; start as many brokers, "
                    "or set it lower"
                ) from failure
            # Two stacks that start at once both try; the guard checks what the other made.
            if failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


@once_settled
def _wrong_settings(admin: AdminClient, plan: TopicPlan) -> list[str]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in (*KEPT, QUARANTINE, SEALS)]
    wrong: list[str] = []
    for resource, future in admin.describe_configs(resources, request_timeout=TIMEOUT).items():
        found = future.result()
        for name, value in REQUIRED.items():
            if found[name].value != value:
                wrong.append(f"{resource.name}: {name} is {found[name].value}, must be {value}")
        if int(found["min.insync.replicas"].value) < plan.min_insync:
            in_sync = found["min.insync.replicas"].value
            wrong.append(
                f"{resource.name}: min.insync.replicas is {in_sync}, must be at least {plan.min_insync}"
            )
    return wrong
