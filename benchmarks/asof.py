"""What a moment costs against now: a user of 1,000 memories, each with ten versions, among 50 others."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.material import TENANT, sentence
from benchmarks.table import Row, percentiles
from memfold.memory.corpora import Corpora
from memfold.memory.ports import Walk
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import Recalling
from memfold.projections.base import Position, Shard, fenced
from memfold.projections.generations import Generations
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_feed import LanceMemoryFeed
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.providers.presets import ModelSettings, embedder_from
from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import Envelope, Event, MemoriesDecided, Operation, RelationChange, Scope
from memfold.serve.past import Past

USERS, MEMORIES, VERSIONS, PER_EVENT = 50, 1_000, 10, 100
DIMENSIONS, QUERIES, WANTED = 256, 200, 1.3
START = datetime(2026, 1, 1, tzinfo=UTC)
MIDDLE = START + timedelta(days=VERSIONS / 2)


def asof(folder: Path) -> list[Row]:
    home = folder / "asof"
    home.mkdir()
    keys = KeyStore(home / "keys.db", bytes(32))
    try:
        return asyncio.run(_measure(home, keys))
    finally:
        keys.close()


async def _measure(home: Path, keys: KeyStore) -> list[Row]:
    generations = Generations(home, "vector")
    vectors = VectorShard(generations.shard_path("g0001", 0), 0, DIMENSIONS)
    graph = GraphShard(home / "graph", 0)
    subject = keys.subject_of(TENANT, "user", "historian")
    for events in _history(keys, subject):
        for shard in (vectors, graph):
            _feed(shard, events)
    vectors.close()
    graph.close()
    # Opened again, so that neither the present nor the past is still in memory from being written.
    graph = GraphShard(home / "graph", 0)
    index, relations = LanceMemoryIndex(generations, 1), OxigraphRelations({0: graph})
    embedder = embedder_from(ModelSettings())
    feed = LanceMemoryFeed(index.tables, 1)
    now = Recalling(TENANT, index, Corpora(TENANT, feed), relations, keys, embedder)
    then = Past(now, index, feed).at(MIDDLE)
    reach, scope = checked_reach(None, {"user_id": "historian"}), Scope(user_id="historian")

    def searching(reads: Recalling) -> Callable[[int], Awaitable[object]]:
        return lambda n: reads.search(sentence(n), reach, 20, 0.0)

    def listing(reads: Recalling) -> Callable[[int], Awaitable[object]]:
        return lambda n: reads.get_all(reach, 100)

    def walking(moment: datetime | None) -> Callable[[int], Awaitable[object]]:
        walk = {"hops": 2, "as_of": moment}
        return lambda n: relations.around(TENANT, subject, scope, Walk(f"Person {n}", **walk))  # type: ignore[arg-type]

    rows = [
        await _row("search", searching(now), searching(then)),
        await _row("get_all", listing(now), listing(then)),
        await _row("relations, 2 hops", walking(None), walking(MIDDLE)),
    ]
    await index.close()
    graph.close()
    return rows


async def _row(
    name: str, now: Callable[[int], Awaitable[object]], then: Callable[[int], Awaitable[object]]
) -> Row:
    """Asked in turn, so that what else runs on the machine slows both."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    for number in range(-10, QUERIES):
        for past, ask in ((False, now), (True, then)):
            started = time.perf_counter()
            await ask(number)
            if number >= 0:
                taken[past].append(time.perf_counter() - started)
    (now50, now95), (then50, then95) = percentiles(taken[False]), percentiles(taken[True])
    return Row(
        f"as_of against now: {name}, 1,000 memories of ten versions, p50 / p95",
        f"{then50 / now50:.2f} ({then50:.1f} / {then95:.1f} ms)",
        f"{WANTED}",
        f"now {now50:.1f} / {now95:.1f} ms",
        then50 / now50 <= WANTED,
    )


def _feed(shard: Shard, events: list[Event]) -> Position:
    counted, position = fenced(events, shard.position())
    shard.apply(counted, position)
    return position


def _history(keys: KeyStore, subject: str) -> Iterator[list[Event]]:
    """Batches of events: the others' memories, then a version of each of the historian's memories a day."""
    rng = np.random.default_rng(7)
    offset = 0
    others = [keys.subject_of(TENANT, "user", f"user-{number}") for number in range(USERS)]
    for version in range(VERSIONS + 1):
        owners = others if version == 0 else [subject]
        for owner in owners:
            batch = []
            for start in range(0, MEMORIES, PER_EVENT):
                body = _decided(rng, owner, owner == subject, max(version, 1), start)
                recorded_at = START + timedelta(days=version, milliseconds=offset)
                command_id = str(uuid.UUID(int=offset + 1, version=4))
                envelope = Envelope(
                    command_id, "memories_decided", TENANT, owner, command_id, recorded_at, b"", "", b"", offset
                )  # fmt: skip
                batch.append(Event(0, offset, recorded_at, envelope, body))
                offset += 1
            yield batch


def _decided(rng: np.random.Generator, owner: str, mine: bool, version: int, start: int) -> MemoriesDecided:
    scope = Scope(user_id="historian" if mine else "other")
    vectors = rng.normal(size=(PER_EVENT, DIMENSIONS))
    packed = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f2")
    operations, relations = [], []
    for n in range(start, start + PER_EVENT):
        memory_id = str(uuid.uuid5(uuid.UUID(owner), str(n)))
        op = "ADD" if version == 1 else "UPDATE"
        text = f"{sentence(n)}, told {version} times"
        operations.append(Operation(op, memory_id, version, text, scope, vector=packed[n - start].tobytes()))
        if mine:
            relations += _changed(memory_id, n, version)
    return MemoriesDecided("decided", operations=operations, relations=relations, embedder="bench")


def _changed(memory_id: str, n: int, version: int) -> list[RelationChange]:
    """The memory's relation ends, and another begins."""
    name = "historian", "MET", f"Person {(n + version) % 500}", "PERSON", "PERSON"
    ids = [str(uuid.uuid5(uuid.UUID(memory_id), str(one))) for one in (version, version - 1)]
    asserted = RelationChange("ASSERT", ids[0], memory_id, *name)
    return [asserted] if version == 1 else [RelationChange("RETRACT", ids[1], memory_id, *name), asserted]
