"""The sampled verification that a worker does all the time: slices of subjects beside the log, for a bounded share of its time.

    a pass over a partition    as many slices as keep one slice at about EVENTS_A_SLICE events; all of them are a whole pass
    the log                    is read once in a pass, into a copy that is cut into slices (replay/sliced_log.py), unless the disk is full
    a slice                    is folded once for both projections, then each is compared (replay/scrubbing.py)
    a step                     some milliseconds in a thread; afterwards the scrub rests as long as its share wants

It serves nobody and mends nothing. What it finds is in the log as an error, in `memfold status` and in the metrics, until a later
pass finds it no more, or another generation is served.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from memfold.memory.errors import ShardDamaged, ViewUnreachable
from memfold.projections.base import Shard
from memfold.projections.difference import Difference
from memfold.projections.generations import Generations
from memfold.projections.graph import GraphShard
from memfold.projections.vector_snapshot import VectorSnapshot
from memfold.replay.reembedding import Embedding, ReembeddedShard
from memfold.replay.room import is_full
from memfold.replay.scrubbing import read_copy, read_slice, scrub_graph, scrub_vectors
from memfold.replay.sliced_log import SlicedLog
from memfold.replay.slices import Slice, SliceFold
from memfold.replay.source import Source
from memfold.schemas.errors import MemfoldError
from memfold.schemas.opening import Keys
from memfold.schemas.partitions import EVENTS
from memfold.serve.scrubbed import Place, Scrubbed, ScrubbedShard

EVENTS_A_SLICE = 10_000
"""Kept in memory, with their vectors: some 10 to 20 MB."""
SHORTEST = 0.05
"""Seconds that a slice counts at least, so that a log with nothing in it is not read all the time."""
LONGEST = 1.0
"""Seconds that a step counts at most: one that takes longer waited, for a broker that is away, and waiting costs nobody anything."""
AGAIN = 60.0
"""Seconds until it is tried again where the log or a model is away."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pass:
    """One pass over a partition: how many slices, which is next, and what was found; and what the pass before found."""

    of: int
    next: int = 0
    copied: bool = True
    copy: SlicedLog | None = None
    found: dict[Place, list[Difference]] = field(default_factory=dict)
    before: dict[Place, list[Difference]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scrubbing:
    """What a scrub reads: the log, and what its worker serves. Mappings change while partitions come and go."""

    source: Source
    keys: Keys
    generations: Mapping[str, Generations]
    positions: Callable[[], dict[str, dict[int, int]]]
    """{projection: {partition: offset}} of what the worker has."""
    graphs: Mapping[int, GraphShard]
    embedding: Callable[[str], Embedding]
    """The embedder of a generation of vectors."""
    copies: Path
    """The folder of the files that a scrub needs while it runs."""


class Scrub:
    """For one worker. `share` of its time, above 0."""

    def __init__(self, reading: Scrubbing, share: float) -> None:
        self._reading, self._share = reading, share
        self._passes: dict[int, _Pass] = {}
        self._whole_at: dict[Place, float] = {}
        self._served: dict[str, str] = {}
        self._slices, self._refused = 0, ""

    def scrubbed(self) -> Scrubbed:
        """How far it is, and what it found."""
        shards = [
            ScrubbedShard(
                projection,
                partition,
                one.of,
                one.next,
                self._whole_at.get((projection, partition)),
                _joined(one, (projection, partition)),
            )
            for projection, partitions in self._reading.positions().items()
            for partition in sorted(partitions)
            if (one := self._passes.get(partition)) is not None
        ]
        return Scrubbed(shards, self._slices, self._refused)

    async def keep_on(self) -> None:
        """Until it is cancelled."""
        await self._rest(SHORTEST * 10)
        while True:
            for partition in sorted({p for found in self._reading.positions().values() for p in found}):
                await self._round(partition)
            # Where there is no partition there is nothing to wait for but one.
            await self._rest(SHORTEST)

    async def _round(self, partition: int) -> None:
        """Slice after slice until the pass is whole, or cannot go on: then the next round does, with another copy of the log."""
        try:
            while await self._slice(partition):
                continue
        finally:
            self._close_copy(partition)

    def _close_copy(self, partition: int) -> None:
        one = self._passes.get(partition)
        if one is not None and one.copy is not None:
            one.copy.close()
            one.copy = None

    async def _slice(self, partition: int) -> bool:
        """Whether another slice is to follow."""
        began = time.monotonic()
        try:
            if not await self._compare(partition):
                return False
        except ViewUnreachable:
            # The partition went to another worker, or to another generation, in the middle of it.
            return False
        except (MemfoldError, OSError) as failure:
            refused = str(failure) or type(failure).__name__
        else:
            refused = ""
        # Only now: a failure that is at hand keeps the frames that it came through, and with them a graph's store open.
        if refused and refused != self._refused:
            logger.warning("what is served is not compared with the log at present: %s", refused)
        self._refused = refused
        if refused:
            await asyncio.sleep(AGAIN)
            return False
        self._slices += 1
        await self._rest(max(0.0, SHORTEST - (time.monotonic() - began)))
        one = self._passes[partition]
        return one.next < one.of

    async def _compare(self, partition: int) -> bool:
        """The next slice of a partition; False where there is nothing to compare any more, or not as it was when this began."""
        positions = {
            name: found[partition] for name, found in self._reading.positions().items() if partition in found
        }
        if not positions:
            return False
        served = {name: self._reading.generations[name].served() for name in positions}
        end = min(positions.values()) + 1
        one = self._pass(partition, served, end)
        fold = self._fold(partition, Slice(one.next, one.of), served.get("vector"))
        await self._read(one, fold, end)
        for name in positions:
            found = await self._differences(name, fold, served[name])
            if served[name] != self._reading.generations[name].served():
                return False
            for difference in found:
                if difference not in one.before.get((name, partition), []):
                    _tell(name, partition, difference)
            one.found.setdefault((name, partition), []).extend(found)
        one.next += 1
        if one.next == one.of:
            self._whole_at |= dict.fromkeys(((name, partition) for name in positions), time.time())
        return True

    async def _read(self, one: _Pass, fold: SliceFold, end: int) -> None:
        """The log up to `end`, by way of the pass's copy; without one where one slice is all, or where there is no room for it."""
        reading = self._reading
        if one.of > 1 and one.copied:
            if one.copy is None:
                one.copy = SlicedLog(reading.copies, reading.source, reading.keys, fold.partition, one.of)
            try:
                await self._paced(read_copy(fold, one.copy, end))
            except OSError as failure:
                if not is_full(failure):
                    raise
                one.copied = False
                self._close_copy(fold.partition)
        await self._paced(read_slice(fold, end))

    def _pass(self, partition: int, served: dict[str, str], end: int) -> _Pass:
        """The pass that is going on, or a new one where it is over or another generation is served."""
        one = self._passes.get(partition)
        for name, generation in served.items():
            if self._served.setdefault(name, generation) != generation:
                self._served[name] = generation
                self._forget(name)
        if one is None or one.next >= one.of:
            before = one.found if one is not None else {}
            one = self._passes[partition] = _Pass(max(1, -(-end // EVENTS_A_SLICE)), before=before)
        return one

    def _forget(self, projection: str) -> None:
        """What was found is of files that nobody reads any more."""
        for place in [place for place in self._whole_at if place[0] == projection]:
            del self._whole_at[place]
        for one in self._passes.values():
            for found in (one.found, one.before):
                for place in [place for place in found if place[0] == projection]:
                    del found[place]

    def _fold(self, partition: int, piece: Slice, generation: str | None) -> SliceFold:
        def dressed(shard: Shard) -> Shard:
            if generation is None:
                return shard
            return ReembeddedShard(shard, self._reading.embedding(generation), generation)

        return SliceFold(self._reading.source, self._reading.keys, partition, piece, dressed)

    async def _differences(self, name: str, fold: SliceFold, generation: str) -> list[Difference]:
        reading, partition = self._reading, fold.partition

        def snapshot() -> VectorSnapshot:
            path = reading.generations["vector"].shard_path(generation, partition)
            return VectorSnapshot(path, reading.embedding(generation).dimensions)

        if name == "vector":
            steps = scrub_vectors(fold, snapshot)
        elif (shard := reading.graphs.get(partition)) is not None:
            steps = scrub_graph(fold, shard)
        else:
            return []
        try:
            return await self._paced(steps)
        except ShardDamaged:
            # Which memories, `verify` tells: it can afford to read half by half.
            return [Difference("", "the shard", "unreadable")]

    async def _paced(self, steps: Iterator[list[Difference]]) -> list[Difference]:
        """What all steps find; each runs in a thread, with a rest after it."""
        found: list[Difference] = []
        while True:
            began = time.monotonic()
            some = await asyncio.to_thread(next, steps, None)
            await self._rest(min(LONGEST, time.monotonic() - began))
            if some is None:
                return found
            found += some

    async def _rest(self, worked: float) -> None:
        await asyncio.sleep(worked * (1 / self._share - 1))


def _joined(one: _Pass, place: Place) -> list[Difference]:
    """What this pass found so far, and what the one before found where this one has not come to yet."""
    found = one.found.get(place, [])
    return found + [each for each in one.before.get(place, []) if each not in found]


def _tell(projection: str, partition: int, difference: Difference) -> None:
    logger.error(
        "%s/%s: memory %s, %s (%s): %s; offset %s. `memfold replay verify --repair` serves what the log says",
        projection,
        partition,
        difference.memory_id,
        difference.part,
        ", ".join(difference.fields),
        difference.what,
        difference.offset,
        extra={"role": projection, "topic": EVENTS, "partition": partition, "offset": difference.offset},
    )
