"""One served shard beside the one that was built from the log: first by their digests, then down to memories.

In as many processes as there are cores: a store's damaged files can end the process that reads them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from memfold.memory.errors import ShardDamaged
from memfold.projections import graph_compare, vector_compare
from memfold.projections.difference import Difference
from memfold.projections.graph_reading import content_digest
from memfold.projections.graph_snapshot import GraphSnapshot
from memfold.projections.vector_digest import digest
from memfold.projections.vector_snapshot import VectorSnapshot
from memfold.replay.build import BuiltShard
from memfold.replay.compared import Compared
from memfold.replay.spawned import Spawned

_NOT_WORTH_A_PROCESS = 500
"""Records; a process takes a second to start."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A copy of the served shard, and the one built to the same position. `damage`: why there is no copy that can be opened."""

    copy: Path
    served: Path
    built: BuiltShard
    dimensions: int
    damage: str = ""


def compare_all(pairs: Sequence[Pair], done: Callable[[Compared], None]) -> list[Compared]:
    """In the order of the pairs; `done` is told of each as it ends."""
    if sum(pair.built.task.end for pair in pairs) < _NOT_WORTH_A_PROCESS:
        return [_told(compare(pair), done) for pair in pairs]
    found: dict[int, Compared] = {}
    try:
        with _pool(len(pairs)) as pool:
            running = {pool.submit(compare, pair): number for number, pair in enumerate(pairs)}
            for future in as_completed(running):
                number = running[future]
                found[number] = _told(future.result(), done)
    except BrokenProcessPool:
        for number, pair in enumerate(pairs):
            if number not in found:
                found[number] = _told(_alone(pair), done)
    return [found[number] for number in range(len(pairs))]


def _pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(min(os.cpu_count() or 1, processes), Spawned())


def _alone(pair: Pair) -> Compared:
    """One of several broke the pool: each again by itself tells which."""
    try:
        with _pool(1) as pool:
            return pool.submit(compare, pair).result()
    except BrokenProcessPool as broken:
        return _compared(pair, "", (), f"the process that read it died of it ({broken})")


def compare(pair: Pair) -> Compared:
    """Raises what building a shard may raise, of the built one."""
    if pair.built.task.projection == "vector":
        return _vectors(pair)
    return _graphs(pair)


def _told(one: Compared, done: Callable[[Compared], None]) -> Compared:
    done(one)
    return one


def _compared(pair: Pair, served: str, differences: Sequence[Difference], damage: str = "") -> Compared:
    task = pair.built.task
    # The copy is gone when this is read; what is damaged is the file that it has links to.
    of_served = damage.replace(str(pair.copy), str(pair.served))
    return Compared(
        task.projection, task.partition, task.end - 1, served, pair.built.digest, differences, of_served
    )


def _vectors(pair: Pair) -> Compared:
    built = VectorSnapshot(pair.built.task.path, pair.dimensions)
    try:
        if pair.damage:
            raise ShardDamaged(pair.damage)
        served = VectorSnapshot(pair.copy, pair.dimensions)
    except ShardDamaged as damaged:
        return _compared(pair, "", vector_compare.all_unreadable(built), str(damaged))
    try:
        of_served = digest(served)
        if of_served == pair.built.digest and vector_compare.same_beside_digest(served, built):
            return _compared(pair, of_served, ())
    except ShardDamaged as damaged:
        return _compared(pair, "", vector_compare.differences(served, built), str(damaged))
    return _compared(pair, of_served, vector_compare.differences(served, built))


def _graphs(pair: Pair) -> Compared:
    built = GraphSnapshot(pair.built.task.path)
    try:
        if pair.damage:
            raise ShardDamaged(pair.damage)
        served = GraphSnapshot(pair.copy)
        found = list(graph_compare.differences(served.triples, built.triples))
        if any(one.what == "unreadable" for one in found):
            return _compared(pair, "", found, "Oxigraph finds blocks of it whose checksum is wrong")
        with served.reading():
            return _compared(pair, content_digest(served.triples), found)
    except ShardDamaged as damaged:
        return _compared(pair, "", graph_compare.all_unreadable(built.triples), str(damaged))
