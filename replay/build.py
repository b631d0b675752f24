"""Builds shards from the log: the same opening, fence and fold as live traffic, read in bulk and without Faust.

Each shard is built by a process of its own, as many at a time as there are cores. No model is asked: vectors are in the events,
unless the generation is for another embedder (reembedding.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Position, Shard
from memfold.projections.graph import GraphShard
from memfold.projections.vector import VectorShard
from memfold.replay.reembedding import Embedding, ReembeddedShard
from memfold.replay.source import KafkaSource, ParquetSource, Source
from memfold.schemas.keystore import KeyStore
from memfold.streams.connection import Connection
from memfold.streams.projecting import fold_batch, open_batch
from memfold.streams.reader import LogReader

PROJECTIONS = ("vector", "graph")
SOURCES = ("kafka", "archive")
_NOT_WORTH_A_PROCESS = 2_000


@dataclass(frozen=True, slots=True)
class Origin:
    """What a building process needs to open the log. `kek` never leaves this machine's processes."""

    home: Path
    kek: bytes = field(repr=False)
    embedding: Embedding
    connection: Connection | None = None
    """None: read the archive."""
    index_above: int | None = None
    """Memories from which on a vector shard gets its indices for searches across subjects, at the end; None: never."""

    def source(self) -> Source:
        if self.connection is None:
            return ParquetSource(self.home / "archive")
        return KafkaSource(LogReader(self.connection))


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to build: where, and up to which offset (exclusive)."""

    projection: str
    path: Path
    partition: int
    end: int
    start: int = 0
    """Where a shard that was built before goes on."""


@dataclass(frozen=True, slots=True)
class BuiltShard:
    """A shard that was built, where it stands, and what it took."""

    task: ShardTask
    position: Position
    digest: str
    seconds: float


def open_shard(
    projection: str, path: Path, partition: int, embedding: Embedding, index_above: int | None = None
) -> Shard:
    """The shard at `path`, made when it is not there. Raises InvalidInput, ShardLocked, ShardDamaged."""
    if projection == "vector":
        shard = VectorShard(path, partition, embedding.dimensions, index_above)
        return ReembeddedShard(shard, embedding, generation=path.parent.name)
    if projection == "graph":
        return GraphShard(path, partition)
    raise InvalidInput(f"there is no projection {projection!r}; rebuild one of {', '.join(PROJECTIONS)}")


def build_shard(task: ShardTask, origin: Origin) -> BuiltShard:
    """Fold the log into one shard up to `task.end`. Raises LogTruncated, ShardDamaged, WrongKey."""
    shard = open_shard(task.projection, task.path, task.partition, origin.embedding, origin.index_above)
    try:
        return fold_log(task, shard, origin)
    finally:
        shard.close()


def fold_log(task: ShardTask, shard: Shard, origin: Origin) -> BuiltShard:
    """`build_shard` into a shard that is open. Raises as `build_shard`, and what the shard raises."""
    started = time.perf_counter()
    keys = KeyStore(origin.home / "keys.db", origin.kek)
    try:
        position = shard.position()
        for records in origin.source().read(task.partition, task.start, task.end):
            position = fold_batch(shard, position, records, open_batch(records, keys))
        return BuiltShard(task, position, shard.digest(), time.perf_counter() - started)
    finally:
        keys.close()


def build(
    tasks: Sequence[ShardTask], origin: Origin, done: Callable[[BuiltShard], None] = lambda built: None
) -> list[BuiltShard]:
    """Build all of them; `done` is told of each as it ends. The first failure is raised and the rest is not begun."""
    if sum(task.end - task.start for task in tasks) < _NOT_WORTH_A_PROCESS:
        built = []
        for task in tasks:
            built.append(build_shard(task, origin))
            done(built[-1])
        return built
    # spawn: a forked child would inherit the threads of librdkafka, Lance and Oxigraph in mid-step.
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(tasks)), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(build_shard, task, origin): number for number, task in enumerate(tasks)}
        results: dict[int, BuiltShard] = {}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                done(results[futures[future]])
        finally:
            pool.shutdown(cancel_futures=True)
    return [results[number] for number in range(len(tasks))]
