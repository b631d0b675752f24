"""Scopes that are too large to hold: which of their memories are ranked, and how those were looked for.

A scope that is held is scored memory by memory. Of a larger one, as an agent's or a tenant's over many users, the nearest in meaning
and those with the question's words are taken from indices on disk, and only these are scored.
"""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from memfold.memory.filters import All, Condition, Filter
from memfold.memory.ports import MemoryIndex, MemoryRow, Vectors
from memfold.schemas.records import Scope

CANDIDATES = 300
"""Of a scope that is too large to hold, so many by meaning and as many by words are ranked: more find nothing more (docs/recall.md)."""

NEAREST = 2_000
"""Where nothing can search by words, so many by meaning."""

How = Literal["exact", "approximate", "candidates"]


class Searched(Struct, frozen=True):
    """What a search looked at, for who asks it to explain itself.

    `ranked`: how many memories were scored. `meaning`: "exact" if the nearest of all were taken, "approximate" if an index may have
    missed some. `words`: "exact" if all were searched for the question's words, "candidates" if only those ranked were.
    """

    ranked: int
    meaning: How = "exact"
    words: How = "exact"


class Candidates(Struct, frozen=True):
    """The memories of a large scope that are ranked, none twice, and how they were looked for."""

    rows: list[MemoryRow]
    meaning: How
    words: How


class Asked(Struct, frozen=True):
    """A question, its vector, shape (dimensions,), and what has to pass."""

    text: str
    vector: Vectors
    only: Filter = All()


class WideIndex(Protocol):
    """Finds what is worth ranking in a scope of any size. `subject` None means every subject of the tenant."""

    async def candidates(
        self, tenant: str, subject: str | None, scope: Scope, asked: Asked, limit: int
    ) -> Candidates:
        """Up to `limit` current memories by meaning and up to `limit` by words, all of which pass; what is not indexed yet is found too,
        of words up to `limit` more.

        Raises InvalidInput for a vector without a direction.
        """
        ...


class NearestOnly:
    """A `WideIndex` over any `MemoryIndex`: exact by meaning; words count among what that finds."""

    def __init__(self, index: MemoryIndex) -> None:
        self._index = index

    async def candidates(
        self, tenant: str, subject: str | None, scope: Scope, asked: Asked, limit: int
    ) -> Candidates:
        """See the port."""
        most = max(limit, NEAREST)
        near = await self._index.search(tenant, subject, scope, asked.vector, most, asked.only)
        bare = await waiting(self._index, tenant, subject, scope, asked.only, most)
        return Candidates([*(hit.row for hit in near), *bare], "exact", "candidates")


async def waiting(
    index: MemoryIndex, tenant: str, subject: str | None, scope: Scope, only: Filter, limit: int
) -> list[MemoryRow]:
    """What no model has embedded yet: near to nothing, so it has to come beside the nearest where no index of words finds it.

    Those that failed for good are few, and a retry gives them a vector.
    """
    pending = All((only, Condition("pending", "eq", True)))
    rows = await index.current(tenant, subject, scope, limit, pending)
    return [row for row in rows if not row.vector]
