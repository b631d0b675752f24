"""One partition of a mirror: the vector fold once more, whose rows go to another store before they are committed here.

The mirror's book, a vector shard of its own in the home, has the position. Most stores cannot commit a position with data, and
some cannot even be asked what they hold; so the fold reads the book, the rows are put, and then the book is committed. A process
that is killed in between starts again at the book's position and puts the same rows over the ones that it left.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock

from msgspec.structs import replace

from memfold.projections.vector import VectorShard
from memfold.projections.vector_rows import Row
from memfold.stores.port import VectorStore

PUT = 256
"""Rows that a store gets at a time: at 1,536 dimensions 1.5 MB, below what every store takes in one request."""


class MirrorShard(VectorShard):
    """See `Shard`. `store` is shared by the partitions of a mirror; `turn` gives one of them at a time the use of it."""

    def __init__(self, path: Path, partition: int, dimensions: int, store: VectorStore, turn: Lock) -> None:
        super().__init__(path, partition, dimensions)
        self._store, self._turn = store, turn

    def _before_commit(self, rows: Sequence[Row]) -> None:
        """Raises StoreUnavailable, StoreRefused; then nothing is committed."""
        # What has no vector nobody can find by meaning; the book has it.
        with_vectors = [row for row in rows if row.vector is not None]
        for some in _chunks(with_vectors):
            with self._turn:
                self._store.put(some)

    def digest(self) -> str:
        """The vector shard's of the same log, if the store holds every row as it should be; else one that no shard has."""
        differing = self.differing()
        digest = super().digest()
        return sha256("\n".join([digest, *differing]).encode()).hexdigest() if differing else digest

    def differing(self) -> list[str]:
        """The row ids of what the store has not, or has otherwise than the book; vectors are not compared."""
        self.commit()
        found: list[str] = []
        for some in _chunks(list(self._table.all_rows())):
            expected = {row.row_id: replace(row, vector=None) for row in some if row.vector is not None}
            with self._turn:
                held = self._store.held(list(expected))
            found += [row_id for row_id, row in expected.items() if held.get(row_id) != row]
        return found


def _chunks(rows: list[Row]) -> list[list[Row]]:
    return [rows[start : start + PUT] for start in range(0, len(rows), PUT)]
