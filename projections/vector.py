"""The vector projection: memories with their versions and vectors, one LanceDB table per partition."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path

from memfold.memory.errors import InvalidInput, ShardLocked
from memfold.projections.base import Position
from memfold.projections.index_above import INDEX_ABOVE
from memfold.projections.vector_digest import digest
from memfold.projections.vector_fold import Touched, fold, touched
from memfold.projections.vector_rows import Row
from memfold.projections.vector_table import VectorTable
from memfold.schemas.records import Event


class VectorShard:
    """The shard in the folder `path`, open for writing; made when it is not there. See `Shard` for what it promises.

    Vectors have `dimensions` float16 values. From `index_above` memories on it has indices for searches across subjects (None: never).
    Raises ShardLocked, ShardDamaged, ShardRefused (space, rights), and InvalidInput
    when the shard was built with other dimensions.
    """

    def __init__(
        self, path: Path, partition: int, dimensions: int, index_above: int | None = INDEX_ABOVE
    ) -> None:
        self._path, self._partition = path, partition
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_name(path.name + ".lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._table = VectorTable(path, dimensions, index_above)
            # Hashes only: a false hit costs a look into the table, a missing one would cost history.
            self._known = {hash(memory_id) for memory_id in self._table.memory_ids()}
        except BlockingIOError as taken:
            self._lock.close()
            raise ShardLocked(
                f"another process writes {path}; stop that worker, or wait until it has gone"
            ) from taken
        except BaseException:
            self._lock.close()
            raise

    def position(self) -> Position:
        return self._table.position

    def apply(self, events: Sequence[Event], position: Position) -> None:
        """One commit. Raises ShardLocked for a position that the shard has already passed, InvalidInput for a vector that is none."""
        at = self._table.position
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
        known = {memory_id for memory_id in wanted.memories if hash(memory_id) in self._known}
        held = list(self._table.load(Touched(known, wanted.subjects, wanted.tenants)))
        rows = fold(events, held)
        self._before_commit(rows)
        self._table.commit(rows, position, all_new=not held)
        self._known.update(map(hash, wanted.memories - known))
        self._table.keep_up()

    def _before_commit(self, rows: Sequence[Row]) -> None:
        """For a shard whose rows go elsewhere as well; what it raises, nothing is committed."""

    def digest(self) -> str:
        """See vector_digest.py for its definition."""
        return digest(self._table)

    def close(self) -> None:
        """Leaves the files in their best order, unless that was done just now. Closing again does nothing."""
        if self._lock.closed:
            return
        try:
            self._table.settle()
        finally:
            self._lock.close()
