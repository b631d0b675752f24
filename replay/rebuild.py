"""Rebuild: a new generation beside the served one.

It does not touch what is served until the last step: moving one pointer. Whoever runs the workers moves it for them
(`Switch`), because they have to follow into the new generation at an equal position.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from memfold.memory.errors import InvalidInput, ShardLocked
from memfold.projections.embedded_by import EmbeddedBy, embedded_by, record
from memfold.projections.generations import Generations
from memfold.projections.unfinished import Unfinished, mark, unfinished, unmark
from memfold.providers.embedder_choice import to_record
from memfold.replay.aside import is_aside
from memfold.replay.build import BuiltShard, Origin, ShardTask, build
from memfold.replay.progress import Watch, unwatched
from memfold.replay.room import is_full, no_room
from memfold.schemas.errors import MemfoldError

Switch = Callable[[str, str], None]
"""Serve a generation of a projection: (projection, generation). Raises InvalidInput where who would serve it cannot."""

SHORT = 2.0
"""Seconds. What is written while a generation is built is built too, in rounds, until one is as short as this: the rest is read
while writes wait for it."""
ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A new generation of one projection. Not `served`: partitions are left that another call has to build."""

    projection: str
    generation: str
    shards: list[BuiltShard]
    served: bool = True


def rebuild(
    generations: Mapping[str, Generations],
    partitions: int,
    origin: Origin,
    switch: Switch,
    done: Callable[[BuiltShard], None] = lambda built: None,
    watch: Watch = unwatched,
    only: Collection[int] | None = None,
    digests: bool = False,
) -> list[Rebuilt]:
    """Build a new generation of each projection up to the log's end, then serve it. Raises as `build`; then nothing changes.

    `digests`: told with each shard; a digest reads the whole shard again, a third of the time of a rebuild.

    A generation that an earlier rebuild left half built is taken up where its shards stand. `only`: of these partitions; the
    generation is served by the call that builds the last of the others. A generation of vectors is of the origin's embedder, and
    says so from its beginning. Nobody else may rebuild meanwhile (`only_one`).
    """
    new = {name: _begun(each, origin if name == "vector" else None) for name, each in generations.items()}
    wanted = sorted(range(partitions) if only is None else only)
    tasks = tasks_of(generations, new, wanted)
    folders = {name: each.path(new[name]) for name, each in generations.items()}
    with kept_or_removed(generations, new):
        built = built_to_the_end(tasks, origin, done, watch, digests)
        left = {name: _left(folder, wanted, partitions) for name, folder in folders.items()}
        if only is not None and not any(left.values()):
            # What other calls built may be far behind by now.
            tasks = tasks_of(generations, new, range(partitions))
            built = built_to_the_end(tasks, origin, done, watch, digests)
    shards = {name: [one for one in built if one.task.projection == name] for name in new}
    if any(left.values()):
        return [Rebuilt(name, new[name], shards[name], served=False) for name in generations]
    for folder in folders.values():
        mark(folder, Unfinished(frozenset(range(partitions)), whole=True))
    serve_all(generations, new, switch)
    if "vector" in generations and origin.embedding.cache.exists():
        with origin.embedding.open_cache() as cache:
            cache.forget_others(new["vector"])
    return [Rebuilt(name, new[name], shards[name]) for name in generations]


def tasks_of(
    generations: Mapping[str, Generations], names: Mapping[str, str], partitions: Iterable[int]
) -> list[ShardTask]:
    """Each shard of these partitions in the generations of these names, to be built from where it stands."""
    return [
        ShardTask(name, each.shard_path(names[name], partition), partition, 0)
        for partition in partitions
        for name, each in generations.items()
    ]


def serve_all(generations: Mapping[str, Generations], new: Mapping[str, str], switch: Switch) -> None:
    """Move the pointer of each projection, and remove what is older than the generation before. Raises as `switch`."""
    for name, each in generations.items():
        before = each.served()
        try:
            switch(name, new[name])
        except InvalidInput:
            # Refused before anything moved: nobody reads what would be left lying there.
            for refused, others in generations.items():
                if unfinished(others.path(new[refused])) and others.served() != new[refused]:
                    others.remove(new[refused])
            raise
        unmark(each.path(new[name]))
        # The one served before stays, for who still reads it and for `rollback`.
        known = each.existing()
        older = known[: known.index(before)] if before in known else []
        for old in known:
            path = each.path(old)
            if old not in (new[name], before) and not is_aside(path) and (old in older or unfinished(path)):
                each.remove(old)


def _begun(each: Generations, vectors_of: Origin | None) -> str:
    """A generation that was left half built and is of the same embedder, or a new one."""
    served = each.served()
    unmark(each.path(served))
    by = None if vectors_of is None else made_by(vectors_of)
    for name in reversed(each.existing()):
        if name != served and unfinished(each.path(name)) and (by is None or embedded_by(each, name) == by):
            return name
    name = each.create_next()
    mark(each.path(name), Unfinished())
    if by is not None:
        record(each, name, by)
    return name


def _left(folder: Path, built: Collection[int], partitions: int) -> set[int]:
    """The partitions that nobody built yet, once these are."""
    so_far = (unfinished(folder) or Unfinished()).built | frozenset(built)
    mark(folder, Unfinished(so_far))
    return set(range(partitions)) - so_far


@contextmanager
def kept_or_removed(generations: Mapping[str, Generations], new: Mapping[str, str]) -> Iterator[None]:
    """What was half built stays for the next call, unless it is what is wrong, or fills the disk. Raises NoRoom for the latter."""
    try:
        yield
    except (MemfoldError, OSError) as failure:
        full = is_full(failure)
        # An error of the machine, and what has gone away, says nothing against the shards.
        sound = not isinstance(failure, MemfoldError) or isinstance(failure, ConnectionError | ShardLocked)
        if full or not sound:
            for name, each in generations.items():
                each.remove(new[name])
        if full:
            raise no_room(generations) from failure
        raise


def made_by(origin: Origin) -> EmbeddedBy:
    """The embedder that a generation of vectors is recorded with."""
    embedding = origin.embedding
    return EmbeddedBy(embedding.model, embedding.dimensions, to_record(embedding.models))


def built_to_the_end(
    tasks: list[ShardTask],
    origin: Origin,
    done: Callable[[BuiltShard], None],
    watch: Watch,
    digests: bool,
) -> list[BuiltShard]:
    """Build the tasks up to where the log ends, and go on while that takes so long that much is written meanwhile.

    A digest, where it is wanted, reads the whole shard, so it is made with the first round, and once more at the end if others followed.
    """
    source, built, rounds = origin.source(), list[BuiltShard](), 0
    while rounds < ROUNDS:
        ends = {task.partition: source.end(task.partition) for task in tasks}
        tasks = [replace(task, start=task.end, end=max(task.end, ends[task.partition])) for task in tasks]
        if built and all(task.start == task.end for task in tasks):
            break
        began, rounds = time.monotonic(), rounds + 1
        built = build(tasks, origin, done if rounds == 1 else _unsaid, watch, digests=digests and rounds == 1)
        if time.monotonic() - began < SHORT:
            break
    return build([one.task for one in built], origin, _unsaid) if digests and rounds > 1 else built


def _unsaid(built: BuiltShard) -> None:
    """The rounds after the first are short, and repeat what was told."""
