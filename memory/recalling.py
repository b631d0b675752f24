"""The verbs that ask: by id, by scope, by meaning and by relation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.ports import (
    About,
    Embedder,
    Hit,
    MemoryIndex,
    MemoryRow,
    Relation,
    RelationGraph,
    SubjectDirectory,
    Vectors,
)
from memfold.memory.scopes import checked_id, owner_of
from memfold.memory.writing import checked_memory_id
from memfold.schemas.records import Scope

_WORDS = re.compile(r"\w+")
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gives: memories, best first, and the relations that belong to them or to the words asked for."""

    hits: list[Hit]
    relations: list[Relation]


@dataclass(frozen=True, slots=True)
class Recalling:
    """Reads of one tenant."""

    tenant: str
    index: MemoryIndex
    graph: RelationGraph
    subjects: SubjectDirectory
    embedder: Embedder

    async def get(self, memory_id: object) -> MemoryRow | None:
        rows = await self.index.find(self.tenant, [checked_memory_id(memory_id)])
        return rows[0] if rows else None

    async def get_all(self, scope: Scope, limit: int) -> tuple[list[MemoryRow], list[Relation]]:
        """Current memories inside the scope, oldest first, and the relations that rest on them."""
        known, subject = self._subject(scope)
        if not known:
            return [], []
        rows = await self.index.current(self.tenant, subject, scope, limit)
        return rows, await self.graph.relations(self.tenant, subject, scope)

    async def search(
        self, query: str, scope: Scope, limit: int, threshold: float, relationship: str | None
    ) -> Found:
        """The nearest memories, exact; with `relationship`, only those that are evidence of one."""
        known, subject = self._subject(scope)
        if not known:
            return Found([], [])
        (vector,) = await self.embedder.embed([query])
        if relationship:
            return await self._by_relation(vector, subject, scope, limit, relationship)
        hits = await self.index.search(self.tenant, subject, scope, vector, limit)
        hits = [hit for hit in hits if hit.score >= threshold]
        asked = {word.casefold() for word in _WORDS.findall(query)}
        about = About([hit.row.memory_id for hit in hits], sorted(asked))
        relations = await self.graph.relations(self.tenant, subject, scope, about=about)
        return Found(hits, _named_first(relations, asked)[:limit])

    async def _by_relation(
        self, vector: Vectors, subject: str | None, scope: Scope, limit: int, relationship: str
    ) -> Found:
        relations = await self.graph.relations(self.tenant, subject, scope, relationship)
        # A relation's evidence may lie anywhere in the ranking: filter first, cut afterwards.
        hits = await self.index.search(self.tenant, subject, scope, vector, MAX_LIMIT)
        evidence = {relation.memory_id for relation in relations}
        return Found([hit for hit in hits if hit.row.memory_id in evidence][:limit], relations[:limit])

    def _subject(self, scope: Scope) -> tuple[bool, str | None]:
        """(whether anything can be there, the subject or None for all): an agent's memories may belong to many users."""
        if scope.user_id is None:
            return True, None
        subject = self.subjects.known_subject(self.tenant, *owner_of(scope))
        return subject is not None, subject


def _named_first(relations: list[Relation], asked: set[str]) -> list[Relation]:
    """Relations whose names occur in the query before those that only rest on a memory found."""

    def unnamed(relation: Relation) -> bool:
        return asked.isdisjoint(_WORDS.findall(f"{relation.source} {relation.target}".casefold()))

    return sorted(relations, key=unnamed)


def checked_limit(limit: object) -> int:
    """Raises InvalidType, InvalidInput."""
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise InvalidType(f"limit must be a whole number, not {limit!r}")
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit is {limit}; it must be between 1 and {MAX_LIMIT}")
    return limit


def checked_threshold(threshold: object) -> float:
    """Raises InvalidType, InvalidInput."""
    if not isinstance(threshold, int | float) or isinstance(threshold, bool):
        raise InvalidType(f"threshold must be a number, not {threshold!r}")
    if not -1 <= threshold <= 1:
        raise InvalidInput(f"threshold is {threshold}; a cosine lies between -1 and 1")
    return float(threshold)


def checked_filters(filters: object, ids: Mapping[str, object]) -> tuple[dict[str, Any], str | None]:
    """(scope ids from arguments and filters, relationship). Raises InvalidType, InvalidInput."""
    if filters is None:
        filters = {}
    if not isinstance(filters, Mapping):
        raise InvalidType(f"filters must be a dict, not {type(filters).__name__}")
    known = (*ids, "relationship")
    unknown = [name for name in filters if name not in known]
    if unknown:
        raise InvalidInput(f"filters has {unknown[0]!r}; this version filters by {', '.join(known)}")
    merged = {name: filters.get(name) if value is None else value for name, value in ids.items()}
    return merged, checked_id("filters['relationship']", filters.get("relationship"))
