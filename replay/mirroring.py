"""Mirrors in bulk: filled from the log, and proven to hold what a fold of the log holds.

One partition after the other in this process: a store in a folder has one process that opens it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from memfold.projections.base import Shard, Standing
from memfold.replay.build import BuiltShard, Origin, ShardTask, build, fold_log
from memfold.replay.compared import Compared


def fill(
    name: str,
    open_shard: Callable[[int], Shard],
    path: Callable[[int], Path],
    partitions: int,
    origin: Origin,
    done: Callable[[BuiltShard], None],
) -> list[BuiltShard]:
    """Fold the log up to its end now into every shard of a mirror; one that was filled in part goes on. Raises as `fold_log`."""
    source = origin.source()
    built: list[BuiltShard] = []
    for partition in range(partitions):
        shard = open_shard(partition)
        try:
            start = shard.position().offset + 1
            task = ShardTask(name, path(partition), partition, max(source.end(partition), start), start)
            built.append(fold_log(task, shard, origin))
        finally:
            shard.close()
        done(built[-1])
    return built


def verify_mirror(
    name: str, projection: str, standings: Mapping[int, Standing], aside: Path, origin: Origin
) -> list[Compared]:
    """Compare how a mirror's partitions stand with shards of the projection built in the folder `aside`, which is removed afterwards."""
    tasks = [
        ShardTask(projection, aside / f"p{partition:04d}", partition, standing.position.offset + 1)
        for partition, standing in standings.items()
    ]
    try:
        built = build(tasks, origin)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [
        Compared(name, one.task.partition, one.task.end - 1, standings[one.task.partition].digest, one.digest)
        for one in built
    ]
