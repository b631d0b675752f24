"""Topics that have another number of partitions than the log was made with. Put right again: tests/serve/test_partitions_added.py."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from memfold.memory.errors import InvalidInput, TopicMisconfigured
from memfold.schemas.partitions import COMMANDS, EVENTS, KEPT
from memfold.schemas.records import LogRecord
from memfold.serve.partition_count import FILE, known_partitions, note_partitions
from memfold.streams.connection import Connection
from memfold.streams.counts import check_counts
from memfold.streams.follower import Failed
from memfold.streams.processor import Processor
from memfold.streams.topics import TopicPlan, ensure_topics, partition_counts


def test_another_count_is_refused_by_name_with_both_ways_back(connection: Connection) -> None:
    made = ensure_topics(connection, TopicPlan(partitions=3))
    with pytest.raises(
        TopicMisconfigured,
        match=rf"memfold\.commands has {made} partitions.* was made with {made - 1}: somebody changed.*"
        rf"replay repartition --partitions {2 * (made - 1)} .*memfold restore",
    ):
        ensure_topics(connection, TopicPlan(), known=made - 1)
    assert ensure_topics(connection, TopicPlan(), known=made - 1, beyond=True) == made - 1
    with pytest.raises(TopicMisconfigured, match=f"was made with {made + 1}"):
        ensure_topics(connection, TopicPlan(), known=made + 1, beyond=True)
    assert partition_counts(connection) == dict.fromkeys(KEPT, made)


def test_nothing_is_made_where_the_count_is_refused(connection: Connection, admin: AdminClient) -> None:
    made = ensure_topics(connection, TopicPlan(partitions=3))
    (deleted,) = admin.delete_topics(["memfold.seals"], operation_timeout=10).values()
    deleted.result()
    with pytest.raises(TopicMisconfigured, match="somebody changed that"):
        ensure_topics(connection, TopicPlan(), known=made - 1)
    assert "memfold.seals" not in admin.list_topics(timeout=10).topics
    ensure_topics(connection, TopicPlan(), known=made)


def test_one_topic_of_another_count_is_named_alone() -> None:
    with pytest.raises(TopicMisconfigured, match=r"^memfold\.events has 8 partitions, and this log was made"):
        check_counts({COMMANDS: 4, EVENTS: 8, "chats": 1}, 4, beyond=False)


class Untouched:
    """A sink that must never be opened."""

    longest_rest = 0.0

    async def open(self, failed: Failed) -> int:
        raise AssertionError("begun, although a partition was refused")

    async def process(self, records: Sequence[LogRecord]) -> None: ...

    async def at_rest(self) -> None: ...

    async def close(self) -> None: ...


async def test_a_running_processor_begins_nothing_when_it_is_given_a_partition_beyond(
    connection: Connection, tmp_path: Path
) -> None:
    made = await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=3))
    processor = Processor(
        "beyond", [EVENTS], lambda _topic, _partition: Untouched(), connection, tmp_path, partitions=made - 1
    )
    try:
        await processor.start()
        with pytest.raises(TopicMisconfigured, match=rf"has a partition {made - 1}, and this log was made"):
            await asyncio.wait_for(processor.failed, 30)
    finally:
        await processor.stop()


def test_the_count_is_written_down_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert known_partitions(home) is None
    note_partitions(home, 4)
    note_partitions(home, 8)
    assert known_partitions(home) == 4
    for wrong in ("", "many", "0", "-4"):
        (home / FILE).write_text(wrong)
        with pytest.raises(InvalidInput, match="number of the log's partitions"):
            known_partitions(home)


@pytest.fixture
def admin(connection: Connection) -> AdminClient:
    return AdminClient({"bootstrap.servers": connection.bootstrap_servers})
