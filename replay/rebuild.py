"""Rebuild and verify: a new generation beside the served one, and the proof that it is the same.

Neither touches what is served until the last step: moving one pointer. Whoever runs the workers moves it for them
(`Switch`), because they have to follow into the new generation at an equal position.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Standing
from memfold.projections.embedded_by import EmbeddedBy, record
from memfold.projections.generations import Generations
from memfold.providers.embedder_choice import to_record
from memfold.replay.build import BuiltShard, Origin, ShardTask, build

Switch = Callable[[str, str], None]
"""Serve a generation of a projection: (projection, generation). Raises InvalidInput where who would serve it cannot."""

SHORT = 2.0
"""Seconds. What is written while a generation is built is built too, in rounds, until one is as short as this: the rest is read
while writes wait for it."""
ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A new generation of one projection."""

    projection: str
    generation: str
    shards: list[BuiltShard]


@dataclass(frozen=True, slots=True)
class Compared:
    """One shard of the served generation beside the same shard built from the log up to the same offset."""

    projection: str
    partition: int
    offset: int
    served: str
    built: str

    @property
    def equal(self) -> bool:
        return self.served == self.built


def rebuild(
    generations: Mapping[str, Generations],
    partitions: int,
    origin: Origin,
    switch: Switch,
    done: Callable[[BuiltShard], None] = lambda built: None,
) -> list[Rebuilt]:
    """Build a new generation of each projection up to the log's end, then serve it. Raises as `build`; then nothing changes.

    A generation of vectors is of the origin's embedder, and says so from its beginning.
    """
    new = {name: each.create_next() for name, each in generations.items()}
    try:
        if "vector" in generations:
            record(generations["vector"], new["vector"], _made_by(origin))
        tasks = [
            ShardTask(name, each.shard_path(new[name], partition), partition, 0)
            for name, each in generations.items()
            for partition in range(partitions)
        ]
        built = _built_to_the_end(tasks, origin, done)
    except BaseException:
        for name, each in generations.items():
            each.remove(new[name])
        raise
    for name, each in generations.items():
        before = each.served()
        try:
            switch(name, new[name])
        except InvalidInput:
            # Refused before anything moved: nobody reads what would be left lying there.
            for refused, others in generations.items():
                if others.served() != new[refused]:
                    others.remove(new[refused])
            raise
        # The one served before stays, for who still reads it; the next rebuild removes it. Younger ones may be a verify's.
        known = each.existing()
        for old in known[: known.index(before)] if before in known else []:
            each.remove(old)
    if "vector" in generations and origin.embedding.cache.exists():
        with origin.embedding.open_cache() as cache:
            cache.forget_others(new["vector"])
    return [
        Rebuilt(name, new[name], [one for one in built if one.task.projection == name])
        for name in generations
    ]


def _made_by(origin: Origin) -> EmbeddedBy:
    embedding = origin.embedding
    return EmbeddedBy(embedding.model, embedding.dimensions, to_record(embedding.models))


def _built_to_the_end(
    tasks: list[ShardTask], origin: Origin, done: Callable[[BuiltShard], None]
) -> list[BuiltShard]:
    """Build the tasks up to where the log ends, and go on while that takes so long that much is written meanwhile."""
    source, built, took = origin.source(), list[BuiltShard](), 0.0
    for _ in range(ROUNDS):
        ends = {task.partition: source.end(task.partition) for task in tasks}
        tasks = [replace(task, start=task.end, end=ends[task.partition]) for task in tasks]
        if built and (took < SHORT or all(task.start == task.end for task in tasks)):
            break
        began = time.monotonic()
        built = build(tasks, origin, done)
        took = time.monotonic() - began
    return built


def verify(
    generations: Mapping[str, Generations],
    served: Mapping[tuple[str, int], Standing],
    origin: Origin,
    done: Callable[[BuiltShard], None] = lambda built: None,
) -> list[Compared]:
    """Compare what is served, {(projection, partition): standing}, with a fold of the log to the same offsets."""
    aside = {name: each.create_next() for name, each in generations.items()}
    tasks = [
        ShardTask(
            name,
            generations[name].shard_path(aside[name], partition),
            partition,
            standing.position.offset + 1,
        )
        for (name, partition), standing in served.items()
    ]
    try:
        # Only the digest is wanted, and no index is in it.
        built = build(tasks, replace(origin, index_above=None), done)
    finally:
        for name, each in generations.items():
            each.remove(aside[name])
    return [
        Compared(one.task.projection, one.task.partition, one.task.end - 1, digest, one.digest)
        for one in built
        for digest in [served[one.task.projection, one.task.partition].digest]
    ]
