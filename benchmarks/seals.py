"""Seals: one proof, the check of a million sealed events, and the whole verification with Kafka read again."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from benchmarks.material import TENANT, sentence
from benchmarks.table import Row, percentiles, rate
from memfold.audit.checkpoints import TreeName
from memfold.audit.proofs import Place, check_proof, locate, prove
from memfold.audit.sealing import Sealer
from memfold.audit.verifying import Evidence, verify
from memfold.infra.broker import Broker
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_rows import leaf_hash
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, EVENTS, key_of, partition_of
from memfold.schemas.records import (
    AddRequested,
    Body,
    Envelope,
    Item,
    LogRecord,
    MemoriesDecided,
    Message,
    Operation,
    Scope,
)
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter

SEALED, WHOLE, PARTITIONS = 1_000_000, 100_000, 4
PROOFS, SEAL_EVERY, USERS = 300, 10_000, 1_000


class _Maker:
    """Commands and their events, one memory each, encrypted as memfold does."""

    def __init__(self, keys: KeyStore) -> None:
        self._subjects = [keys.subject_of(TENANT, "user", f"user-{number}") for number in range(USERS)]
        self._sealing = [keys.sealing_key(subject) for subject in self._subjects]

    def partition(self, number: int) -> int:
        return partition_of(TENANT, self._subjects[number % USERS], PARTITIONS)

    def event(self, number: int, offset: int) -> tuple[bytes, bytes]:
        memory_id = str(uuid.UUID(int=number + 1, version=4))
        operation = Operation(
            "ADD", memory_id, 1, sentence(number), Scope(f"user-{number % USERS}"), vector=bytes(128)
        )
        return self._record(
            "memories_decided", number, MemoriesDecided("decided", operations=[operation]), offset
        )

    def command(self, number: int) -> tuple[bytes, bytes]:
        said = AddRequested(Scope(f"user-{number % USERS}"), [Item([Message("user", sentence(number))])])
        return self._record("add_requested", number, said, -1)

    def _record(self, kind: str, number: int, body: Body, offset: int) -> tuple[bytes, bytes]:
        subject, (key_id, key) = self._subjects[number % USERS], self._sealing[number % USERS]
        command_id = uuid.UUID(int=number + 1, version=4)
        record_id = str(uuid.uuid5(command_id, kind))
        envelope = Envelope(
            record_id, kind, TENANT, subject, str(command_id), datetime.now(UTC), b"", key_id, b"", offset,
            [str(command_id)] if offset >= 0 else [],
        )  # fmt: skip
        return key_of(TENANT, subject), encode(envelope, body, key)


def seals(folder: Path) -> list[Row]:
    """A million events in one partition, sealed every ten thousand; then 100,000 events and their commands on a broker."""
    home = folder / "seals"
    home.mkdir(parents=True)
    with closing(KeyStore(home / "keys.db", bytes(32))) as keys:
        maker = _Maker(keys)
        return [*_million(home / "million", maker), *_whole(home / "whole", maker, keys)]


def _million(home: Path, maker: _Maker) -> list[Row]:
    archive, folder = home / "archive", home / "seals"
    shard, sealer = ArchiveShard(archive, EVENTS, 0), Sealer(archive, folder, 1)
    for start in range(0, SEALED, SEAL_EVERY):
        records = [LogRecord(EVENTS, 0, n, n, *maker.event(n, n)) for n in range(start, start + SEAL_EVERY)]
        shard.append(records)
        sealer.seal()
    shard.close()
    sealer.close()
    return [*_proofs(archive, sealer), _hashes(archive, folder, sealer)]


def _proofs(archive: Path, sealer: Sealer) -> list[Row]:
    verifier, places = sealer.signer.verifier(), []
    for batch in ArchiveSource(archive).batches(EVENTS, 0, size=SEALED // PROOFS):
        record = batch[-1]
        places.append(Place(TreeName(EVENTS, 0), record.offset, leaf_hash(record.value), record.timestamp_ms))
    made, checked, sizes = [], [], []
    for place in places:
        started = time.perf_counter()
        proof = prove(sealer.files, verifier, str(uuid.uuid4()), place)
        between = time.perf_counter()
        check_proof(proof, verifier)
        checked.append(time.perf_counter() - between)
        made.append(between - started)
        sizes.append(len(json.dumps(proof).encode()))
    started = time.perf_counter()
    locate(archive, str(uuid.uuid5(uuid.UUID(int=SEALED // 2 + 1, version=4), "memories_decided")))
    located = (time.perf_counter() - started) * 1e3
    p50, p95 = percentiles(made)
    c50, c95 = percentiles(checked)
    return [
        Row("proof of one event of 1,000,000, made, p50 / p95", f"{p50:.2f} / {p95:.2f} ms", "5 ms",
            f"finding the event by its id, half through the archive: {located:.0f} ms", p95 <= 5),
        Row("the same, checked (signature and path)", f"{c50:.2f} / {c95:.2f} ms", "1 ms", "", c95 <= 1),
        Row("the same, size of the JSON at most", f"{max(sizes):,} B", "2,048 B", "", max(sizes) <= 2_048),
    ]  # fmt: skip


def _hashes(archive: Path, folder: Path, sealer: Sealer) -> Row:
    values = [record.value for batch in ArchiveSource(archive).batches(EVENTS, 0) for record in batch]
    started = time.perf_counter()
    for value in values:
        sha256(value).digest()
    bare = time.perf_counter() - started
    size = sum(map(len, values)) / len(values)
    del values
    started = time.perf_counter()
    report = verify(Evidence(archive, folder, 1, sealer.signer.verifier(), records=False))
    taken = time.perf_counter() - started
    assert report.ok
    assert report.counts.records == SEALED
    return Row(
        f"verify all of 1,000,000 events of {size:.0f} B: hashes, positions, {report.counts.seals} checkpoints",
        f"{taken:.1f} s", "4 s", f"bare SHA-256 of the same bytes: {bare:.1f} s", taken <= 4,
    )  # fmt: skip


async def _write(connection: Connection, records: Iterator[tuple[str, int, bytes, bytes]]) -> None:
    writer = LogWriter(connection, linger_ms=5)
    held: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {}
    for count, (topic, partition, key, value) in enumerate(records, start=1):
        held.setdefault((topic, partition), []).append((key, value))
        if count % 5_000 == 0:
            await asyncio.gather(*(writer.append(*place, each) for place, each in held.items()))
            held.clear()
    await asyncio.gather(*(writer.append(*place, each) for place, each in held.items()))
    writer.close()


def _whole(home: Path, maker: _Maker, keys: KeyStore) -> list[Row]:
    def records() -> Iterator[tuple[str, int, bytes, bytes]]:
        offsets = [0] * PARTITIONS
        for number in range(WHOLE):
            partition = maker.partition(number)
            yield COMMANDS, partition, *maker.command(number)
            yield EVENTS, partition, *maker.event(number, offsets[partition])
            offsets[partition] += 1

    with Broker(home) as broker:
        connection = Connection(bootstrap_servers=broker.bootstrap)
        ensure_topics(connection, TopicPlan(partitions=PARTITIONS))
        asyncio.run(_write(connection, records()))
        archive, folder, reader = home / "archive", home / "seals", LogReader(connection)
        for topic in (COMMANDS, EVENTS):
            for partition in range(PARTITIONS):
                with closing(ArchiveShard(archive, topic, partition)) as shard:
                    for batch in reader.read(topic, partition, 0, reader.bounds(topic, partition)[1]):
                        shard.append(batch)
        with closing(Sealer(archive, folder, PARTITIONS)) as sealer:
            sealer.seal()
            verifier = sealer.signer.verifier()
        started = time.perf_counter()
        for topic in (COMMANDS, EVENTS):
            for partition in range(PARTITIONS):
                for _ in reader.read(topic, partition, 0, reader.bounds(topic, partition)[1]):
                    pass
        bare = time.perf_counter() - started
        started = time.perf_counter()
        report = verify(Evidence(archive, folder, PARTITIONS, verifier, reader, keys))
        taken = time.perf_counter() - started
        reader.close()
    assert report.ok, report.findings[:3]
    assert report.counts.compared_with_log == report.counts.opened == 2 * WHOLE
    row = Row(
        "audit verify of 100,000 events and their 100,000 commands: Kafka, archive, seals, every record opened",
        f"{taken:.1f} s, {rate(2 * WHOLE / taken)} records", "5 s", f"bare consume of the same: {bare:.1f} s", taken <= 5,
    )  # fmt: skip
    return [row]
