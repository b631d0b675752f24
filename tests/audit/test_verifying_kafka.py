"""Kafka against archive against seals, with a broker that is stopped to damage what it holds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from memfold.audit.checkpoints import TreeName
from memfold.audit.findings import Report
from memfold.audit.seal_files import SealFiles
from memfold.infra.broker import Broker
from memfold.projections import archive
from memfold.projections.archive_rows import table_of
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, EVENTS, SEALS, key_of
from memfold.schemas.records import LogRecord
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.sealing import Published
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter
from tests.audit.evidence import Deployment, command, event, memory_id

COUNT = 60


async def append(connection: Connection, *records: LogRecord) -> None:
    with closing(LogWriter(connection)) as writer:
        for record in records:
            await writer.append(record.topic, 0, [(record.key, record.value)])


async def filled(broker: Broker, home: Path, keys: KeyStore, forged: list[LogRecord]) -> Deployment:
    """60 commands and events on real topics, then what is forged; all archived, sealed and published."""
    connection = Connection(bootstrap_servers=broker.bootstrap)
    ensure_topics(connection, TopicPlan(partitions=1))
    written = [*(command(keys, n) for n in range(COUNT)), *(event(keys, n) for n in range(COUNT))]
    await append(connection, *written, *forged)
    deployment = Deployment(home, keys, logged(connection, COMMANDS), logged(connection, EVENTS))
    for end in (20, 40, COUNT + len(forged)):
        deployment.archive(deployment.commands[:end], deployment.events[:end])
        deployment.seal()
    with closing(LogWriter(connection)) as writer:
        await Published(deployment_files(deployment), writer).catch_up()
    return deployment


def deployment_files(deployment: Deployment) -> SealFiles:
    return SealFiles(deployment.home / "seals")


def logged(connection: Connection, topic: str) -> list[LogRecord]:
    with closing(LogReader(connection)) as reader:
        _, end = reader.bounds(topic, 0)
        return [record for batch in reader.read(topic, 0, 0, end) for record in batch]


def verified(broker: Broker, deployment: Deployment) -> Report:
    with closing(LogReader(Connection(bootstrap_servers=broker.bootstrap))) as reader:
        return deployment.verify(reader)


async def test_log_archive_and_seals(tmp_path: Path, keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One broker for the whole story: forged records, a rewritten archive, damaged seals on the topic, a damaged segment."""
    monkeypatch.setattr(archive, "SMALL_ROWS", 1)
    genuine = event(keys, 3)
    no_key = replace(genuine, value=genuine.value[:-20] + bytes(20))
    copied = replace(genuine, key=key_of("acme", keys.subject_of("acme", "user", "user-2")))
    home, kafka = tmp_path / "home", tmp_path / "broker"
    with Broker(kafka) as broker:
        connection = Connection(bootstrap_servers=broker.bootstrap)
        deployment = await filled(broker, home, keys, [no_key, copied])
        report = verified(broker, deployment)
        assert [(one.kind, one.offset) for one in report.findings] == [("forged", 60), ("forged", 61)]
        assert report.counts.compared_with_log == report.counts.archived == 2 * COUNT + 2

        # What came since: counted, and the events are opened.
        await append(connection, command(keys, 60), event(keys, 62, 60))
        counts = verified(broker, deployment).counts
        assert (counts.unarchived, counts.unsealed, counts.opened) == (2, 2, 2 * COUNT + 2)

        # A segment that is gone: the log goes on in its place, so the rest is still checked, and the roots still fit.
        segment = deployment.segments()[1]
        kept = segment.path.read_bytes()
        segment.path.unlink()
        kinds = [(one.kind, one.offset) for one in verified(broker, deployment).findings]
        assert sorted(kinds) == [("file", 20), ("forged", 60), ("forged", 61)]

        # An archived record that is not the one of the log.
        segment.path.write_bytes(kept)
        other = replace(event(keys, 27), timestamp_ms=deployment.events[27].timestamp_ms)
        deployment.rewrite(1, table_of([*deployment.events[20:27], other, *deployment.events[28:40]]))
        found = {one.kind: one for one in verified(broker, deployment).findings}
        assert (found["log"].offset, found["log"].file, found["log"].memory_ids) == (
            27,
            str(segment.path),
            [memory_id(27)],
        )
        assert "differ in value" in found["log"].said
        assert (found["root"].offset, found["root"].last) == (20, 39)
        segment.path.write_bytes(kept)

        # Archive and seals made anew around it, with the key: the seals on the topic do not fit.
        published = deployment_files(deployment).seals_path(TreeName(EVENTS, 0))
        everything = {
            path: path.read_bytes() for path in [published, deployment_files(deployment).heads_path]
        }
        for path in everything:
            path.unlink()
        deployment.rewrite(1, table_of([*deployment.events[20:27], other, *deployment.events[28:40]]))
        deployment.seal()
        found = {one.kind: one for one in verified(broker, deployment).findings}
        assert SEALS in found["root"].said
        segment.path.write_bytes(kept)
        for path, content in everything.items():
            path.write_bytes(content)

        # Somebody writes to the topic of seals under this log's name.
        forged_seal = everything[published].decode().replace("\n40\n", "\n41\n")[:2000].encode()
        await append(connection, LogRecord(SEALS, 0, 0, 0, b"x", forged_seal))
        assert any(one.kind == "seal" and one.file == SEALS for one in verified(broker, deployment).findings)

    # One bit in a segment of Kafka.
    (path,) = (kafka / "kafka").rglob("memfold.events-0/00000000000000000000.log")
    data = bytearray(path.read_bytes())
    place = data.find(deployment.events[30].value[:40])
    if place < 0:
        place = len(data) // 2
    data[place + 5] ^= 1
    path.write_bytes(data)
    with Broker(kafka) as broker:
        found = {one.kind: one for one in verified(broker, deployment).findings}
        assert found["log"].topic == EVENTS
        assert 0 <= found["log"].offset <= COUNT + 2
        assert "damaged" in found["log"].said
