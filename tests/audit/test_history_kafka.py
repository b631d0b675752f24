"""History over a real Kafka: part of the log archived, the rest read behind it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from uuid import uuid4

from memfold.audit.history import DuckDBHistory
from memfold.audit.versions import versions
from memfold.projections.archive import ArchiveShard
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Clear, Scope
from memfold.serve.tail import KafkaTail
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter
from tests.audit.logs import Script, sealed, written
from tests.strategies import Owner


async def test_what_is_acknowledged_is_in_the_next_answer(
    connection: Connection, keys: KeyStore, tmp_path: Path
) -> None:
    partitions = ensure_topics(connection, TopicPlan())
    partition, reader = partitions - 1, LogReader(connection)
    tenant, memory_id = str(uuid4()), str(uuid4())
    owner = Owner(tenant, "", "")
    script = Script()(owner, written("ADD", memory_id, 1, "coffee"))(
        owner, written("UPDATE", memory_id, 2, "tea")
    )
    script(owner, written("UPDATE", memory_id, 2, "mate"), again=2)
    script(owner, clears=[Clear(Scope(), whole_tenant=True)])
    expected = [["coffee"], ["coffee", "tea"], ["coffee", "tea"], ["coffee", "tea", None]]
    root = tmp_path / "archive"
    with (
        closing(LogWriter(connection)) as writer,
        closing(DuckDBHistory(root, partitions, KafkaTail(reader), keys)) as history,
        closing(ArchiveShard(root, EVENTS, partition)) as shard,
    ):
        for event, texts in zip(script.events, expected, strict=True):
            record = sealed(event, keys)
            (offset,) = await writer.append(EVENTS, partition, [(record.key, record.value)])
            events = await history.events_of(tenant, memory_id)
            assert [entry["new_memory"] for entry in versions(events, memory_id)] == texts
            for batch in reader.read(EVENTS, partition, shard.position() + 1, offset):
                shard.append(batch)
            assert await history.events_of(tenant, memory_id) == events
