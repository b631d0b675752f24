"""Verify and repair against a live deployment: served shards are copied while their workers go on, or opened where none runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from memfold.memory.errors import ShardDamaged, ShardLocked
from memfold.projections.generations import Generations
from memfold.projections.graph import GraphShard
from memfold.projections.graph_snapshot import copy_files
from memfold.projections.vector_snapshot import link_files
from memfold.projections.vector_table import is_there
from memfold.replay.build import PROJECTIONS, Origin, open_shard
from memfold.replay.compared import Compared
from memfold.replay.last_event import Traced, traced
from memfold.replay.only_one import VERIFY_FILE, only_one
from memfold.replay.verify import Copy, Following, Verified, verify
from memfold.serve.replaying import checked, generations_of, origin_of, switch_of
from memfold.serve.settings import Settings
from memfold.serve.view_address import addresses
from memfold.serve.view_client import views_of

_CHANGES_HANDS = 20.0
"""Seconds that a shard may be held by somebody who does not answer: a worker that begins or ends."""
_ANSWERS = 3.0
"""Seconds that a living worker gets to have the partition."""


def verify_served(
    settings: Settings,
    source: str,
    projections: Sequence[str] = PROJECTIONS,
    only: Sequence[int] | None = None,
    repair: bool = False,
    following: Following | None = None,
) -> Verified:
    """Compare what is served with a fold of the log to the same offsets; with `repair`, serve the fold where they differ.

    Raises InvalidInput, RebuildRunning, NoRoom, and as a rebuild does; then nothing has changed.
    """
    checked(projections, PROJECTIONS, "projection")
    partitions, origin = origin_of(settings, source)
    checked([*map(str, only or ())], [*map(str, range(partitions))], "partition")
    generations = generations_of(settings, projections)
    doing = f"memfold replay verify{' --repair' if repair else ''}"
    folder = settings.folder / "projections"
    with ExitStack() as held:
        held.enter_context(only_one(folder, doing, VERIFY_FILE))
        if repair:
            held.enter_context(only_one(folder, doing))
        switch = switch_of(settings) if repair else None
        copy = _copier(settings, generations, origin)
        return verify(generations, partitions, origin, copy, only, switch, following)


def traced_in(settings: Settings, source: str, compared: Compared, most: int) -> list[Traced]:
    """The first differences of a shard with the events that made them."""
    _, origin = origin_of(settings, source)
    return traced(compared, origin, most)


def _copier(settings: Settings, generations: Mapping[str, Generations], origin: Origin) -> Copy:
    def copy(projection: str, partition: int, generation: str) -> None:
        each = generations[projection]
        if origin.source().end(partition) == 0 and not each.shard_path(each.served(), partition).exists():
            # Nothing was ever written here, and no worker has had it yet.
            to = each.copy_path(generation, partition)
            open_shard(projection, to, partition, origin.embedding).close()
        elif projection == "vector":
            _copy_vectors(each, partition, generation)
        else:
            _copy_graph(settings, each, partition, generation)

    return copy


def _copy_vectors(each: Generations, partition: int, generation: str) -> None:
    served = each.served()
    path = each.shard_path(served, partition)
    if not is_there(path):
        raise ShardDamaged(f"{path} is not there; `memfold replay verify vector --repair` makes it anew")
    link_files(path, each.copy_path(generation, partition))


def _copy_graph(settings: Settings, each: Generations, partition: int, generation: str) -> None:
    """By the worker that has it open; where none lives, from the files."""
    waiting = Retrying(
        retry=retry_if_exception_type(ShardLocked),
        stop=stop_after_delay(_CHANGES_HANDS),
        wait=wait_fixed(0.2),
        reraise=True,
    )

    def once() -> None:
        path, to = each.shard_path(each.served(), partition), each.copy_path(generation, partition)
        try:
            if not asyncio.run(_copied_by_worker(settings, partition, generation)):
                with closing(GraphShard(path, partition)) as shard:
                    shard.copy(to)
        except ShardDamaged:
            # Whatever of it can be read tells which memories it is.
            copy_files(path, to)

    waiting(once)


async def _copied_by_worker(settings: Settings, partition: int, generation: str) -> bool:
    if not any("graph" in address.roles for address in addresses(settings.folder)):
        return False
    async with views_of(settings) as views:
        return await views.copy("graph", partition, generation, _ANSWERS)
