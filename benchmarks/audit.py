"""Questions to a full log: history, timeline, counts and past states, with all of it archived and with 20,000 events behind the archive."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import numpy as np

from benchmarks.material import TENANT, sentence
from benchmarks.table import Row, percentiles, rate
from memfold.audit.auditor import Auditor, Seals
from memfold.audit.bounds import checked_bounds
from memfold.audit.full_log import FullLog
from memfold.audit.history import DuckDBHistory
from memfold.audit.versions import versions
from memfold.infra.broker import Broker
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_order import LIMIT
from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_event
from memfold.schemas.partitions import EVENTS, key_of, partition_of
from memfold.schemas.records import Envelope, LogRecord, MemoriesDecided, Operation, RelationChange, Scope
from memfold.serve.repacking import repack
from memfold.serve.tail import KafkaTail
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter

LARGE, UNARCHIVED, PARTITIONS = 1_000_000, 20_000, 4
USERS = 1_000
BATCH = 20_000
ASKED = 60


class Lives:
    """Events of `USERS` users in turn by chance: each adds memories, changes every second one, deletes one in twenty."""

    def __init__(self, keys: KeyStore) -> None:
        self._random, self._keys = Random(7), keys
        self._commands = [0] * PARTITIONS
        self._vectors = np.random.default_rng(7).normal(size=(4096, 256)).astype("<f2")
        self.live: list[list[Operation]] = [[] for _ in range(USERS)]
        self._subjects = [keys.subject_of(TENANT, "user", f"user-{number}") for number in range(USERS)]

    def records(self, count: int) -> Iterator[tuple[int, bytes, bytes]]:
        """(partition, key, value) of `count` events, one memory and one relation each."""
        for number in range(count):
            user = self._random.randrange(USERS)
            subject = self._subjects[user]
            partition = partition_of(TENANT, subject, PARTITIONS)
            yield partition, key_of(TENANT, subject), self._event(number, user, subject, partition)

    def _event(self, number: int, user: int, subject: str, partition: int) -> bytes:
        live, dice = self.live[user], self._random.random()
        text, vector = sentence(number), self._vectors[number % 4096].tobytes()
        relations: list[RelationChange] = []
        if dice < 0.5 or not live:
            done = Operation(
                "ADD", str(uuid.UUID(int=number, version=4)), 1, text, Scope(f"user-{user}"), vector=vector
            )
            live.append(done)
            assertion = str(uuid.UUID(int=number + (1 << 64), version=4))
            relations.append(
                RelationChange(
                    "ASSERT", assertion, done.memory_id, f"user-{user}", "MET", f"Person {number % 500}"
                )
            )
        else:
            at = self._random.randrange(len(live))
            old = live[at]
            if dice < 0.95:
                done = Operation(
                    "UPDATE",
                    old.memory_id,
                    old.version + 1,
                    text,
                    old.scope,
                    previous_text=old.text,
                    vector=vector,
                )
                live[at] = done
            else:
                done = Operation("DELETE", old.memory_id, old.version, old.text, old.scope)
                live.pop(at)
        key_id, key = self._keys.sealing_key(subject)
        command_id = str(uuid.UUID(int=number + (1 << 80), version=4))
        envelope = Envelope(
            str(uuid.UUID(int=number + (1 << 96), version=4)), "memories_decided", TENANT, subject, command_id,
            datetime.now(UTC), b"", key_id, b"", self._commands[partition], [done.memory_id],
        )  # fmt: skip
        self._commands[partition] += 1
        return encode(
            envelope,
            MemoriesDecided("decided", operations=[done], relations=relations, embedder="bench"),
            key,
        )


async def _write(connection: Connection, lives: Lives, count: int) -> None:
    with closing(LogWriter(connection, linger_ms=5)) as writer:
        held: dict[int, list[tuple[bytes, bytes]]] = {}
        waiting = 0
        for number, (partition, key, value) in enumerate(lives.records(count), 1):
            held.setdefault(partition, []).append((key, value))
            waiting += 1
            if waiting == BATCH or number == count:
                await asyncio.gather(*(writer.append(EVENTS, p, records) for p, records in held.items()))
                held, waiting = {}, 0


def _archive(reader: LogReader, archive: Path, ends: dict[int, int]) -> None:
    for partition, end in ends.items():
        with closing(ArchiveShard(archive, EVENTS, partition)) as shard:
            for records in reader.read(EVENTS, partition, shard.position() + 1, end, BATCH):
                shard.append(records)


def _merge(archive: Path) -> Row:
    size = sum(path.stat().st_size for path in archive.rglob("*.parquet"))
    started = time.perf_counter()
    done = repack(archive, LIMIT)
    seconds = time.perf_counter() - started
    before, after = sum(one.before for one in done), sum(one.after or 0 for one in done)
    return Row(
        f"merging the archive by day and subject, {before} files to {after}",
        f"{size / seconds / 1e6:,.0f} MB/s",
    )


def audit(folder: Path, events: int = LARGE) -> list[Row]:
    """Write a log to Kafka, archive all but its end and merge it as the worker does when a day is over, ask; archive the end, ask again."""
    home = folder / "audit"
    home.mkdir()
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(home))
        connection = Connection(bootstrap_servers=broker.bootstrap)
        ensure_topics(connection, TopicPlan(PARTITIONS))
        keys = stack.enter_context(closing(KeyStore(home / "keys.db", bytes(32))))
        lives = Lives(keys)
        asyncio.run(_write(connection, lives, events))
        reader = stack.enter_context(closing(LogReader(connection)))
        ends = {partition: reader.bounds(EVENTS, partition)[1] for partition in range(PARTITIONS)}
        archive = home / "archive"
        _archive(reader, archive, {p: end - UNARCHIVED // PARTITIONS for p, end in ends.items()})
        merged = _merge(archive)
        tail = KafkaTail(reader)
        history = stack.enter_context(closing(DuckDBHistory(archive, PARTITIONS, tail, keys)))
        log = stack.enter_context(closing(FullLog(archive, PARTITIONS, tail, keys, keys, limit=2 * events)))
        auditor = Auditor(TENANT, history, log, Seals(folder / "seals", lambda: None))
        behind = _questions(auditor, lives)
        _archive(reader, archive, ends)
        archived = _questions(auditor, lives)
        limits = _limits(archive, keys, reader)
        return [*_rows(events, archived, behind, limits), merged]


_FIRST = "the same for the first time: the whole log opened"
_TOLD = "the same with relations, a dict each"
Timed = dict[str, tuple[float, float]]
"""By question: milliseconds of the clock, and of processors. On a machine that others use as well, the second is the steadier."""
WANTED = {"history, subject known": 25.0, "history, only the id known": 60.0, "timeline of one user": 40.0,
          "counts per day and kind": 80.0, "state of every memory at a past moment": 1_000.0}  # fmt: skip
TOLD = [*WANTED, _FIRST, _TOLD]


def _questions(auditor: Auditor, lives: Lives) -> Timed:
    """p50 of each question, warm, a different memory or user each time."""
    random = Random(3)
    loop = asyncio.new_event_loop()
    known = [
        (user, held[0].memory_id) for user in random.sample(range(USERS), ASKED) if (held := lives.live[user])
    ]

    def bounds(**given: Any) -> Any:
        return checked_bounds(TENANT, auditor.log.directory, **given)

    def with_subject(user: int, memory_id: str) -> None:
        found = auditor.sql(
            "SELECT * FROM versions ORDER BY version", bounds(user_id=f"user-{user}", memory_id=memory_id)
        )
        assert len(found)

    def with_id(user: int, memory_id: str) -> None:
        assert versions(loop.run_until_complete(auditor.history.events_of(TENANT, memory_id)), memory_id)

    def timeline(user: int, memory_id: str) -> None:
        assert auditor.timeline(bounds(user_id=f"user-{user}"))

    def counts(user: int, memory_id: str) -> None:
        assert auditor.sql("SELECT time::DATE AS day, type, count(*) FROM events GROUP BY ALL", bounds()).rows

    def state(user: int, memory_id: str) -> None:
        assert len(auditor.memories_then(bounds(), datetime.now(UTC) - timedelta(seconds=1)))

    def told(user: int, memory_id: str) -> None:
        assert auditor.as_of(bounds(), datetime.now(UTC) - timedelta(seconds=1))["results"]

    measures: dict[str, tuple[Callable[[int, str], None], int]] = {
        "history, subject known": (with_subject, ASKED),
        "history, only the id known": (with_id, ASKED),
        "timeline of one user": (timeline, ASKED // 2),
        "counts per day and kind": (counts, 20),
        _FIRST: (state, 1),
        "state of every memory at a past moment": (state, 20),
        _TOLD: (told, 1),
    }
    timed: Timed = {}
    for name, (ask, times) in measures.items():
        taken, spent = [], []
        for user, memory_id in known[: times + 3 if times > 1 else 1]:
            started, before = time.perf_counter(), time.process_time()
            ask(user, memory_id)
            taken.append(time.perf_counter() - started)
            spent.append(time.process_time() - before)
        timed[name] = percentiles(taken[3:] or taken)[0], percentiles(spent[3:] or spent)[0]
    loop.close()
    return timed


def _limits(archive: Path, keys: KeyStore, reader: LogReader) -> dict[str, str]:
    """What the bare parts do: DuckDB over the same files without any of our rules, and opening records on one core."""
    connection = duckdb.connect(":memory:", config={"threads": 2})
    files = f"read_parquet('{archive}/{EVENTS}/*.parquet')"
    bare: dict[str, float] = {}
    for name, sql in {
        "id": f"SELECT value FROM {files} WHERE list_contains(memory_ids, 'x')",
        "subject": f"SELECT value FROM {files} WHERE subject = 'x'",
        "counts": f"SELECT (timestamp_ms // 86400000) AS day, type, count(*) FROM {files} GROUP BY ALL",
    }.items():
        taken = []
        for _ in range(15):
            started = time.perf_counter()
            connection.sql(sql).fetchall()
            taken.append(time.perf_counter() - started)
        bare[name] = percentiles(taken[2:])[0]
    connection.close()
    records: list[LogRecord] = next(reader.read(EVENTS, 0, 0, 20_000, 20_000))
    started = time.perf_counter()
    for record in records:
        open_event(record, keys)
    opened = len(records) / (time.perf_counter() - started)
    return {
        "history, subject known": f"bare DuckDB, one subject's values: {bare['subject']:.0f} ms",
        "history, only the id known": f"bare DuckDB, rows that name it: {bare['id']:.0f} ms",
        "timeline of one user": f"bare DuckDB, one subject's values: {bare['subject']:.0f} ms; opening {rate(opened)}",
        "counts per day and kind": f"bare DuckDB: {bare['counts']:.0f} ms",
        "state of every memory at a past moment": f"opening alone, one core: {rate(opened)}",
    }


def _rows(events: int, archived: Timed, behind: Timed, limits: dict[str, str]) -> list[Row]:
    rows = []
    for name in TOLD:
        # All is opened once in a process: the first of all questions is the one with the tail.
        (wall, spent), most = (behind if name == _FIRST else archived)[name], WANTED.get(name)
        measure, value = f"{name}, {events:,} events, p50", f"{wall:,.0f} ms, {spent:,.0f} of processor"
        if most is None:
            rows.append(Row(measure, value))
        else:
            rows.append(Row(measure, value, f"{most:,.0f} ms", limits[name], wall <= most))
    for name in WANTED:
        (wall, spent), times = behind[name], behind[name][0] / archived[name][0]
        value = f"{wall:,.0f} ms, {spent:,.0f} of processor, {times:.2f}x"
        rows.append(Row(f"{name}, {UNARCHIVED:,} unarchived", value, "1.5x", "", times <= 1.5))
    return rows
