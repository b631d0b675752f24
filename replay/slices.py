"""The log of some subjects of one partition, read piece by piece and folded in memory: what the served shards should hold of them.

Every record is opened, for the fence counts all of them, and who clears a whole tenant clears these subjects too. Only the events
of the slice are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

import pyoxigraph as ox

from memfold.memory.errors import ShardDamaged
from memfold.projections import graph_fold, vector_fold
from memfold.projections.base import Position, Shard
from memfold.projections.graph_fold import Assertion
from memfold.projections.graph_quads import Quad, as_trig, changed_quads
from memfold.projections.graph_terms import SubjectGraph
from memfold.projections.vector_rows import Row
from memfold.replay.source import Source
from memfold.schemas.opening import Keys
from memfold.schemas.records import Event, LogRecord
from memfold.streams.projecting import fold_batch, open_batch


@dataclass(frozen=True, slots=True)
class Slice:
    """The subjects of a partition whose hash falls on `number` of `of`."""

    number: int
    of: int

    def has(self, subject: str) -> bool:
        return number_of(subject, self.of) == self.number


def number_of(subject: str, of: int) -> int:
    """In which of so many slices a subject is."""
    return crc32(subject.encode()) % of


def numbers_of(event: Event, of: int) -> range:
    """The slices whose subjects an event may change."""
    if any(one.whole_tenant for one in event.body.clears):
        return range(of)
    number = number_of(event.envelope.subject, of)
    return range(number, number + 1)


class SliceFold:
    """Reads forwards only; folds up to any offset that was read. `dressed` wraps the shard as the served one is (reembedding.py)."""

    def __init__(
        self, source: Source, keys: Keys, partition: int, piece: Slice, dressed: Callable[[Shard], Shard]
    ) -> None:
        self._source, self._keys, self.partition, self.piece = source, keys, partition, piece
        self._kept = _Kept()
        self._shard = _OfSlice(dressed(self._kept), piece)
        self.position = Position()

    def end(self) -> int:
        """The offset after the last record of the log now. Raises as the source."""
        return self._source.end(self.partition)

    def read(self, end: int) -> None:
        """Take in the records before `end` that were not read yet. Raises as the source, WrongKey, ModelUnavailable."""
        for records in self._source.read(self.partition, self.position.offset + 1, end):
            batch = open_batch(records, self._keys)
            self.position = fold_batch(self._shard, self.position, records, batch)

    def take(self, records: Sequence[LogRecord], position: Position) -> None:
        """Take in records of which it is known that they count; `position` is where the log stands behind the last of them.

        Raises as `read`, ShardDamaged for a record that cannot be opened: it could be when it was chosen.
        """
        batch = open_batch(records, self._keys)
        if batch.unreadable:
            raise ShardDamaged(f"a record that counted can no longer be opened: {batch.unreadable[0][1]}")
        self._shard.apply(batch.events, position)
        self.position = position

    def rows(self, offset: int) -> list[Row]:
        """The slice's versions of memories once the event at `offset` is in."""
        return [row for row in vector_fold.fold(self._until(offset), []) if self.piece.has(row.subject)]

    def graphs(self, offset: int) -> tuple[ox.Store, set[SubjectGraph]]:
        """The slice's graphs as quads, and whose they are."""
        added: list[Quad] = []
        graphs: set[SubjectGraph] = set()
        for change in graph_fold.fold(self._until(offset), _Nothing()):
            if self.piece.has(change.graph.subject):
                more, _ = changed_quads(change, new=True)
                added += more
                graphs.add(change.graph)
        store = ox.Store()
        store.bulk_load(as_trig(added).encode(), format=ox.RdfFormat.TRIG, lenient=True)
        return store, graphs

    def _until(self, offset: int) -> list[Event]:
        return [event for event in self._kept.events if event.offset <= offset]


class _Kept:
    """A shard that only remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._position = Position()

    def position(self) -> Position:
        return self._position

    def apply(self, events: Sequence[Event], position: Position) -> None:
        self.events += events
        self._position = position

    def keep_up(self) -> None:
        """There is nothing to put in order."""

    def digest(self) -> str:
        raise NotImplementedError("events in memory have no digest; compare what they fold to")

    def close(self) -> None:
        self.events.clear()


class _OfSlice:
    """Passes on what may concern the subjects of a slice."""

    def __init__(self, shard: Shard, piece: Slice) -> None:
        self._shard, self._piece = shard, piece

    def position(self) -> Position:
        return self._shard.position()

    def apply(self, events: Sequence[Event], position: Position) -> None:
        piece = self._piece
        mine = [event for event in events if piece.number in numbers_of(event, piece.of)]
        self._shard.apply(mine, position)

    def keep_up(self) -> None:
        self._shard.keep_up()

    def digest(self) -> str:
        return self._shard.digest()

    def close(self) -> None:
        self._shard.close()


class _Nothing:
    """What a store that is empty holds."""

    def active(self, graph: SubjectGraph) -> dict[str, Assertion]:
        return {}

    def known(self, graph: SubjectGraph, assertion_id: str) -> bool:
        return False

    def graphs(self, tenant: str) -> list[SubjectGraph]:
        return []
