"""What memfold asks of a vector store. One contract suite in tests/stores/ runs against every adapter.

A store holds versions of memories, as LanceDB does: closing a version is putting it again with another `valid_to`. Putting is
idempotent by `row_id` (memory id and version), so what a crash left half written is written over by the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from memfold.memory.ports import Vectors
from memfold.projections.vector_rows import Row

Operator = Literal["eq", "in", "gt", "gte", "lt", "lte"]


class Test(NamedTuple):
    """One field of a row's payload against a value of the same type; `in` against a tuple. A field that is not there passes none."""

    field: str
    operator: Operator
    value: Any


class Asked(Struct, frozen=True):
    """A search: all tests have to pass. `text` is for stores that embed by themselves."""

    vector: Vectors
    text: str
    tests: tuple[Test, ...]
    limit: int


class Found(Struct, frozen=True):
    """A row, without its vector, and its cosine with the query, -1 to 1."""

    row: Row
    score: float


class VectorStore(Protocol):
    """One collection of one store, for one process, one thread at a time. Every method raises StoreUnavailable, StoreRefused.

    Does not promise that a search sees what was put just before: some stores are eventually consistent.
    """

    def put(self, rows: Sequence[Row]) -> None:
        """Insert or replace rows; each has a vector. Durable when it returns."""
        ...

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        """What the store has of these rows, without vectors; what it has not is left out."""
        ...

    def search(self, asked: Asked) -> list[Found]:
        """The nearest rows that pass every test, best first; fewer than `limit` only where there are no more."""
        ...

    def drop(self) -> None:
        """Remove the collection with everything in it."""
        ...

    def close(self) -> None: ...
