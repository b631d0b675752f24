"""Verify and repair: the served shards beside a fold of the log to the same offsets, and what was folded served in their place.

What is compared is a copy of each served shard, made of hard links at one position while its writer goes on: data and position
are one commit, so live writes are in neither side or in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from memfold.memory.errors import ShardDamaged
from memfold.projections.embedded_by import record
from memfold.projections.generations import Generations
from memfold.projections.graph_snapshot import GraphSnapshot
from memfold.projections.unfinished import Unfinished, mark
from memfold.projections.vector_snapshot import VectorSnapshot
from memfold.replay.aside import aside, to_be_served
from memfold.replay.build import BuiltShard, Origin, ShardTask, build
from memfold.replay.compared import Compared
from memfold.replay.comparing import Pair, compare_all
from memfold.replay.progress import Watch, unwatched
from memfold.replay.rebuild import (
    Rebuilt,
    Switch,
    built_to_the_end,
    kept_or_removed,
    made_by,
    serve_all,
    tasks_of,
)
from memfold.replay.room import is_full, no_room
from memfold.schemas.errors import MemfoldError

Copy = Callable[[str, int, str], None]
"""Copy the served shard of (projection, partition) to the `copy_path` of a generation. Raises ShardDamaged where it cannot be opened."""


@dataclass(frozen=True, slots=True)
class Following:
    """Who is told how far a verification is."""

    built: Callable[[BuiltShard], None] = lambda built: None
    watch: Watch = unwatched
    compared: Callable[[Compared], None] = lambda compared: None


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found, and what was served instead, if a repair was asked for and anything differed."""

    compared: list[Compared]
    repaired: list[Rebuilt]

    @property
    def equal(self) -> bool:
        return all(one.equal for one in self.compared)


def verify(
    generations: Mapping[str, Generations],
    partitions: int,
    origin: Origin,
    copy: Copy,
    only: Iterable[int] | None = None,
    switch: Switch | None = None,
    following: Following | None = None,
) -> Verified:
    """Compare every served shard, or those of the partitions `only`. `switch`: repair, by serving what was built.

    Raises as `build`, and with `switch` as `rebuild`; then what is served is as it was. Nobody else may verify meanwhile, nor rebuild
    where it is to repair (`only_one`).
    """
    told = following or Following()
    wanted = sorted(range(partitions) if only is None else only)
    with aside(generations) as names:
        tasks, damage = _copied(generations, names, wanted, origin, copy)
        with _room_for(generations):
            # No index across subjects: it is in no digest, and a repair makes it.
            built = build(tasks, replace(origin, index_above=None), told.built, told.watch)
        dimensions = origin.embedding.dimensions
        pairs = [_pair(one, generations, names, dimensions, damage) for one in built]
        compared = compare_all(pairs, told.compared)
        broken = {one.projection for one in compared if not one.equal}
        if switch is None or not broken:
            return Verified(compared, [])
        chosen = {name: each for name, each in generations.items() if name in broken}
        return Verified(compared, _served_instead(chosen, names, partitions, origin, switch, told.watch))


@contextmanager
def _room_for(generations: Mapping[str, Generations]) -> Iterator[None]:
    try:
        yield
    except (MemfoldError, OSError) as failure:
        if is_full(failure):
            raise no_room(generations) from failure
        raise


def _copied(
    generations: Mapping[str, Generations],
    names: Mapping[str, str],
    partitions: Sequence[int],
    origin: Origin,
    copy: Copy,
) -> tuple[list[ShardTask], dict[tuple[str, int], str]]:
    """What to build, each shard up to where its copy stands; and why there are copies that cannot be opened, which are built whole."""
    tasks: list[ShardTask] = []
    damage: dict[tuple[str, int], str] = {}
    source = origin.source()
    for partition in partitions:
        for name, each in generations.items():
            try:
                copy(name, partition, names[name])
                end = _end_of(name, each, names[name], partition, origin)
            except ShardDamaged as damaged:
                damage[name, partition] = str(damaged)
                end = source.end(partition)
            tasks.append(ShardTask(name, each.shard_path(names[name], partition), partition, end))
    return tasks, damage


def _end_of(name: str, each: Generations, generation: str, partition: int, origin: Origin) -> int:
    path = each.copy_path(generation, partition)
    if name == "vector":
        return VectorSnapshot(path, origin.embedding.dimensions).position.offset + 1
    return GraphSnapshot(path).position.offset + 1


def _pair(
    built: BuiltShard,
    generations: Mapping[str, Generations],
    names: Mapping[str, str],
    dimensions: int,
    damage: Mapping[tuple[str, int], str],
) -> Pair:
    name, partition = built.task.projection, built.task.partition
    each = generations[name]
    copy, served = each.copy_path(names[name], partition), each.shard_path(each.served(), partition)
    return Pair(copy, served, built, dimensions, damage.get((name, partition), ""))


def _served_instead(
    broken: Mapping[str, Generations],
    names: Mapping[str, str],
    partitions: int,
    origin: Origin,
    switch: Switch,
    watch: Watch,
) -> list[Rebuilt]:
    """Bring what was built to the log's end, serve it, and remove what was served: nobody may roll back to what differs from the log."""
    new = {name: names[name] for name in broken}
    before = {name: each.served() for name, each in broken.items()}
    for name, each in broken.items():
        if name == "vector":
            record(each, new[name], made_by(origin))
        to_be_served(each.path(new[name]))
    with kept_or_removed(broken, new):
        tasks = tasks_of(broken, new, range(partitions))
        built = built_to_the_end(tasks, origin, lambda one: None, watch, digests=False)
    for name, each in broken.items():
        mark(each.path(new[name]), Unfinished(frozenset(range(partitions)), whole=True))
    serve_all(broken, new, switch)
    for name, each in broken.items():
        if before[name] != each.served():
            each.remove(before[name])
    return [
        Rebuilt(name, new[name], [one for one in built if one.task.projection == name]) for name in broken
    ]
