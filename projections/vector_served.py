"""One shard as a query sees it: its table at one version, and the tail above it. Neither changes while the query runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from lancedb.table import AsyncTable

from memfold.memory.filters import All, Filter
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow, Vectors
from memfold.projections.vector_filter import every, one_of
from memfold.projections.vector_memory import memory_row
from memfold.projections.vector_rows import Row
from memfold.projections.vector_tail import Tail

_EVERYTHING = All()


@dataclass(frozen=True, slots=True)
class ServedShard:
    """`of`: the same for every version of one generation's shard."""

    table: AsyncTable
    tail: Tail
    of: object

    def beneath(self, *conditions: str) -> str:
        """The conditions, for rows of the table that the tail has not replaced."""
        replaced = [f"NOT ({one_of('row_id', sorted(self.tail.over))})"] if self.tail.over else []
        return every(*conditions, *replaced)

    def above(self, holds: Callable[[Row], bool], only: Filter = _EVERYTHING) -> list[MemoryRow]:
        """The rows of the tail of which this holds and which pass, with their vectors."""
        found = (memory_row(row) for row in self.tail.rows.values() if holds(row))
        return [row for row in found if matches(only, row)]


def distances(vector: Vectors, rows: list[MemoryRow]) -> list[float]:
    """Cosine distances, as LanceDB computes them, of rows that have a vector: 0 for the same direction, 2 for the opposite one."""
    if not rows:
        return []
    theirs = np.frombuffer(b"".join(row.vector for row in rows), "<f2").astype(np.float32)
    theirs = theirs.reshape(len(rows), -1)
    mine = np.asarray(vector, dtype=np.float32)
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(mine)
    near = np.divide(theirs @ mine, lengths, where=lengths > 0, out=np.zeros(len(rows), np.float32))
    found: list[float] = (1 - near).tolist()
    return found
