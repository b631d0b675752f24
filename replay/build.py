"""Builds shards from the log: the same opening, fence and fold as live traffic, read in bulk and without Faust.

A process builds all shards of a partition, so that a record is read and opened once; as many run at a time as there are cores. No
model is asked: vectors are in the events, unless the generation is for another embedder (reembedding.py). Each shard commits its
position with its data, so one that was left half built goes on where it stands.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from memfold.memory.errors import InvalidInput, ShardLocked
from memfold.projections.base import Position, Shard
from memfold.projections.graph import GraphShard
from memfold.projections.vector import VectorShard
from memfold.replay.progress import EVERY, Counters, Watch, unwatched
from memfold.replay.reembedding import Embedding, ReembeddedShard
from memfold.replay.source import KafkaSource, ParquetSource, Source, commits
from memfold.replay.spawned import Spawned
from memfold.schemas.key_rows import KeyPlace
from memfold.schemas.keystore import KeyStore
from memfold.streams.connection import Connection
from memfold.streams.projecting import fold_batch, open_batch
from memfold.streams.reader import LogReader

PROJECTIONS = ("vector", "graph")
SOURCES = ("kafka", "archive")
_NOT_WORTH_A_PROCESS = 500
"""Records; a process takes a second to start."""
_ORPHANS = 20.0
"""Seconds that the builders of a rebuild that was killed take at most to notice, and to let go of their shards."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a building process needs to open the log. `kek` never leaves this machine's processes."""

    home: Path
    keys: KeyPlace
    kek: bytes = field(repr=False)
    embedding: Embedding
    connection: Connection | None = None
    """None: read the archive."""
    index_above: int | None = None
    """Memories from which on a vector shard gets its indices for searches across subjects, at the end; None: never."""
    archive: Path | None = None
    """Where the archive is; None: in the home."""

    def source(self) -> Source:
        if self.connection is None:
            return ParquetSource(self.archive or self.home / "archive")
        return KafkaSource(LogReader(self.connection))


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to build: where, and up to which offset (exclusive). It goes on from the position that it has."""

    projection: str
    path: Path
    partition: int
    end: int
    start: int = 0
    """About where it stands, to judge how much there is to do."""


@dataclass(frozen=True, slots=True)
class BuiltShard:
    """A shard that was built, where it stands, and what it took. `digest` is "" where nobody wanted it."""

    task: ShardTask
    position: Position
    digest: str
    seconds: float
    begun_at: int = 0
    """The first offset that was read for it: above 0 where an earlier build was taken up."""


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


Told = Callable[[int, int], None]
"""Is told how many records are in all shards of a partition, and how many memories were folded since."""


def build_partition(
    tasks: Sequence[ShardTask], origin: Origin, told: Told, digests: bool = True
) -> list[BuiltShard]:
    """Fold the log into shards of one partition up to `task.end`. Raises LogTruncated, ShardDamaged, WrongKey."""
    opening = Retrying(
        retry=retry_if_exception_type(ShardLocked),
        stop=stop_after_delay(_ORPHANS),
        wait=wait_fixed(0.1),
        reraise=True,
    )
    with ExitStack() as opened:
        shards: list[Shard] = []
        for task in tasks:
            shard = opening(
                open_shard, task.projection, task.path, task.partition, origin.embedding, origin.index_above
            )
            opened.callback(shard.close)
            shards.append(shard)
        return _fold(tasks, shards, origin, told, digests)


def fold_log(task: ShardTask, shard: Shard, origin: Origin) -> BuiltShard:
    """The same into a shard that is open. Raises as `build_partition`, and what the shard raises."""
    return _fold([task], [shard], origin, lambda records, memories: None, True)[0]


def _fold(
    tasks: Sequence[ShardTask], shards: Sequence[Shard], origin: Origin, told: Told, digests: bool
) -> list[BuiltShard]:
    started = time.perf_counter()
    source, keys = origin.source(), KeyStore(origin.keys, origin.kek)
    positions = [shard.position() for shard in shards]
    begun = [position.offset + 1 for position in positions]
    told(min(position.offset for position in positions) + 1, 0)
    try:
        for start, end in _stretches(tasks, positions):
            for records in commits(source.read(tasks[0].partition, start, end)):
                _stop_without_parent()
                batch = open_batch(records, keys)
                for number, shard in enumerate(shards):
                    # A shard that is ahead of the others is at the end of a stretch: it needs none of it or all of it.
                    if positions[number].offset < records[-1].offset < tasks[number].end:
                        positions[number] = fold_batch(shard, positions[number], records, batch)
                        shard.keep_up()
                told(records[-1].offset + 1, sum(len(event.body.operations) for event in batch.events))
    finally:
        keys.close()
    built: list[BuiltShard] = []
    for task, shard, position, first in zip(tasks, shards, positions, begun, strict=True):
        digest = shard.digest() if digests else ""
        built.append(BuiltShard(task, position, digest, time.perf_counter() - started, first))
    return built


def _stretches(tasks: Sequence[ShardTask], positions: Sequence[Position]) -> list[tuple[int, int]]:
    """From where the shard that is furthest behind stands, cut where another stands or ends: no commit is half known to a shard."""
    cuts = {position.offset + 1 for position in positions} | {task.end for task in tasks}
    ordered = sorted(cuts)
    last = max(task.end for task in tasks)
    return [(start, end) for start, end in pairwise(ordered) if end <= last]


def _stop_without_parent() -> None:
    """A builder whose rebuild was killed must let go of its shards: the next rebuild takes them up."""
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit(1)


_counters = Counters(0)


def _begin(shared: Any) -> None:
    _counters.shared = shared


def _build_part(number: int, tasks: Sequence[ShardTask], origin: Origin, digests: bool) -> list[BuiltShard]:
    return build_partition(tasks, origin, lambda *told: _counters.tell(number, *told), digests)


def build(
    tasks: Sequence[ShardTask],
    origin: Origin,
    done: Callable[[BuiltShard], None] = lambda built: None,
    watch: Watch = unwatched,
    digests: bool = True,
) -> list[BuiltShard]:
    """Build all of them; `done` is told of each as it ends. The first failure is raised and the rest is not begun."""
    parts: dict[int, list[ShardTask]] = {}
    for task in tasks:
        parts.setdefault(task.partition, []).append(task)
    counters, began = Counters(len(parts)), time.monotonic()
    of = sum(max(task.end for task in part) for part in parts.values())
    results: dict[ShardTask, BuiltShard] = {}

    def ended(built: Sequence[BuiltShard]) -> None:
        for one in built:
            results[one.task] = one
            done(one)

    if sum(task.end - task.start for task in tasks) < _NOT_WORTH_A_PROCESS:
        for number, part in enumerate(parts.values()):
            ended(build_partition(part, origin, lambda *told, n=number: counters.tell(n, *told), digests))
        watch(counters.progress(of, began))
        return [results[task] for task in tasks]
    with ProcessPoolExecutor(
        min(os.cpu_count() or 1, len(parts)),
        mp_context=Spawned(),
        initializer=_begin,
        initargs=(counters.shared,),
    ) as pool:
        running: set[Future[list[BuiltShard]]] = {
            pool.submit(_build_part, number, part, origin, digests)
            for number, part in enumerate(parts.values())
        }
        try:
            while running:
                over, running = wait(running, EVERY, FIRST_COMPLETED)
                watch(counters.progress(of, began))
                for future in over:
                    ended(future.result())
        finally:
            pool.shutdown(cancel_futures=True)
    return [results[task] for task in tasks]
