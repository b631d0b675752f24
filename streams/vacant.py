"""Whether a Kafka can take a whole log in: nothing of memfold's stands there. Looked at before anything is written, anywhere."""

from __future__ import annotations

from contextlib import closing

from confluent_kafka import KafkaException

from memfold.infra.acls import TOPICS
from memfold.memory.errors import RestoreRefused, TopicMisconfigured
from memfold.schemas.partitions import KEPT
from memfold.streams.broker_settings import TIMEOUT, wrong_broker
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.refusals import failure_of
from memfold.streams.rights import require_rights
from memfold.streams.topics import TopicPlan, admin_of


def cluster_of(connection: Connection) -> str:
    """The id that a cluster gave itself: the same at each of its brokers. Raises BrokerUnreachable, NotAuthorized."""
    try:
        found = admin_of(connection).list_topics(timeout=TIMEOUT).cluster_id
    except KafkaException as failure:
        raise failure_of(connection, failure.args[0]) from failure
    return found or ""


def check_vacant(connection: Connection, plan: TopicPlan) -> None:
    """Topics may be there, if they are empty and of the plan's partition count; as role restore. Nothing is made or changed.

    Raises RestoreRefused naming each topic that holds something or is otherwise made, TopicMisconfigured naming what a broker is set
    to, NotAuthorized, BrokerTooOld, BrokerUnreachable.
    """
    admin = admin_of(connection)
    try:
        require_rights(admin, connection, ("restore",))
        wrong = wrong_broker(admin)
        topics = admin.list_topics(timeout=TIMEOUT).topics
    except KafkaException as failure:
        raise failure_of(connection, failure.args[0]) from failure
    counts = {name: len(topics[name].partitions) for name in TOPICS if name in topics}
    if wrong:
        raise TopicMisconfigured(
            f"this Kafka would not keep history: {'; '.join(wrong)}. Correct it, then run this again"
        )
    with closing(LogReader(connection)) as reader:
        ends = reader.all_bounds([(name, each) for name, count in counts.items() for each in range(count)])
    held = [f"{name}/{each} has had {end} records" for (name, each), (_, end) in ends.items() if end]
    other = [
        f"{name} has {count} partitions, not {plan.partitions}"
        for name, count in counts.items()
        if name in KEPT and count != plan.partitions
    ]
    if held or other:
        raise RestoreRefused(
            f"{'; '.join(held + other)}: a log can only be put where none is, at {connection.bootstrap_servers} there is one. Nothing was "
            "written. Name another cluster; or, if these topics are not wanted, delete the topics memfold.* there, and run this again"
        )
