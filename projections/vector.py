"""The vector projection: memories with their versions and vectors, one LanceDB table per partition.

apply      rows are folded and appended to the shard's tail (vector_tail.py); readers see them
keep_up    from time to time the tail is committed to the table, and the table put in order
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from memfold.memory.errors import InvalidInput, ShardLocked
from memfold.projections.base import Position
from memfold.projections.index_above import INDEX_ABOVE
from memfold.projections.vector_digest import digest
from memfold.projections.vector_errors import lance_errors
from memfold.projections.vector_fold import Touched, fold, touched
from memfold.projections.vector_rows import Row, check_vectors
from memfold.projections.vector_table import VectorTable
from memfold.projections.vector_tail import Frame, Tail, TailFile, remove_tails, taken_up
from memfold.schemas.records import Event

ROWS, BYTES, SECONDS = 1_000, 4 * 2**20, 5.0
"""What the tail holds before it is committed: a reader tests each of its rows, and a new one reads all of them.

A batch of so many rows is committed at once, as in a rebuild: its tail would only be written to be committed.
"""


class VectorShard:
    """The shard in the folder `path`, open for writing; made when it is not there. See `Shard` for what it promises.

    Vectors have `dimensions` float16 values. From `index_above` memories on it has indices for searches across subjects (None: never).
    Raises ShardLocked, ShardDamaged, ShardRefused (space, rights), and InvalidInput
    when the shard was built with other dimensions.
    """

    def __init__(
        self, path: Path, partition: int, dimensions: int, index_above: int | None = INDEX_ABOVE
    ) -> None:
        self._path, self._partition, self._begun = path, partition, 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_name(path.name + ".lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._table = VectorTable(path, dimensions, index_above)
            # Hashes only: a false hit costs a look into the table, a missing one would cost history.
            self._known = {hash(memory_id) for memory_id in self._table.memory_ids()}
            self._take_up()
        except BlockingIOError as taken:
            self._lock.close()
            raise ShardLocked(
                f"another process writes {path}; stop that worker, or wait until it has gone"
            ) from taken
        except BaseException:
            self._lock.close()
            raise

    def _take_up(self) -> None:
        with lance_errors(self._path):
            tail = taken_up(self._path, self._table.position)
        if tail.position == self._table.position:
            self._begin_tail()
        else:
            self._commit(tail)

    def _begin_tail(self) -> None:
        self._tail = Tail.above(self._table.position)
        self._file = TailFile(self._path, self._tail.base.offset)
        with lance_errors(self._path):
            remove_tails(self._path)

    def position(self) -> Position:
        return self._tail.position

    def apply(self, events: Sequence[Event], position: Position) -> None:
        """Raises ShardLocked for a position that the shard has already passed, InvalidInput for a vector that is none."""
        at = self._tail.position
        if position == at and not events:
            return
        if position.offset <= at.offset:
            raise ShardLocked(
                f"{self._path} is at offset {at.offset} already; a writer at {position.offset} is stale"
            )
        for event in events:
            if event.partition != self._partition:
                raise InvalidInput(
                    f"an event of partition {event.partition} does not belong into {self._path} of partition {self._partition}"
                )
        wanted = touched(events)
        in_table = self._in_table(wanted)
        rows = fold(events, [*in_table.values(), *self._in_tail(wanted)])
        check_vectors(rows, self._table.dimensions)
        self._before_commit(rows)
        self._keep(Frame(position, rows, [row.row_id for row in rows if row.row_id in in_table]))

    def _in_table(self, wanted: Touched) -> dict[str, Row]:
        """What the table says of these, where the tail says nothing else."""
        known = {memory_id for memory_id in wanted.memories if hash(memory_id) in self._known}
        held = self._table.load(Touched(known, wanted.subjects, wanted.tenants))
        return {row.row_id: row for row in held if row.row_id not in self._tail.rows}

    def _in_tail(self, wanted: Touched) -> list[Row]:
        """Copies: the fold changes the rows that it is given, and may fail."""
        return [
            replace(row)
            for row in self._tail.rows.values()
            if row.memory_id in wanted.memories
            or (row.tenant, row.subject) in wanted.subjects
            or row.tenant in wanted.tenants
        ]

    def _keep(self, frame: Frame) -> None:
        if not self._tail.rows:
            self._begun = time.monotonic()
        if len(frame.rows) >= ROWS:
            self._commit(self._tail.grown([frame], 0))
            return
        self._table.sound = False
        self._table.check_alone()
        with lance_errors(self._path):
            self._tail = self._tail.grown([frame], self._file.append(frame))
        self._table.sound = True

    def _before_commit(self, rows: Sequence[Row]) -> None:
        """For a shard whose rows go elsewhere as well; what it raises, nothing is kept."""

    def keep_up(self) -> None:
        """Commit the tail when it is due, and upkeep of the table when that is."""
        old = bool(self._tail.rows) and time.monotonic() - self._begun >= SECONDS
        if old or len(self._tail.rows) >= ROWS or self._tail.length >= BYTES:
            self.commit()
        self._table.keep_up()

    def commit(self) -> None:
        """Bring all that was applied into the table. Raises ShardLocked, ShardRefused, ShardDamaged: it is in the tail then."""
        if self._tail.position != self._table.position:
            self._commit(self._tail)

    def _commit(self, tail: Tail) -> None:
        # A subject's rows side by side on disk make its searches 2 to 4 times faster.
        rows = sorted(tail.rows.values(), key=lambda row: (row.tenant, row.subject))
        self._table.commit(rows, tail.position, all_new=not tail.over)
        self._known.update(hash(row.memory_id) for row in rows)
        self._begin_tail()

    def digest(self) -> str:
        """See vector_digest.py for its definition. Commits first."""
        self.commit()
        return digest(self._table)

    def close(self) -> None:
        """Leaves the files in their best order, unless that was done just now. Closing again does nothing."""
        if self._lock.closed:
            return
        try:
            if self._table.sound:
                self.commit()
        finally:
            try:
                self._table.settle()
            finally:
                self._lock.close()
