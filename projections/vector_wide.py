"""What is worth ranking in a scope that is too large to hold, from the indices that upkeep builds (vector_ann.py).

Each shard is asked for its nearest memories and for those with the question's words, and the best of all shards are taken. A filter
comes before the best are taken, in the index too. Where few rows pass, or a shard has no index yet, every row that passes is compared:
an index of a million finds too little of what passes a narrow filter.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

import pyarrow as pa  # type: ignore[import-untyped]
from lancedb.table import AsyncTable

from memfold.memory.filters import Filter
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow
from memfold.memory.wide import Asked, Candidates, How, waiting
from memfold.memory.wording import terms
from memfold.projections.vector_ann import MEANING, WORDS, names_of
from memfold.projections.vector_conditions import compiled
from memfold.projections.vector_filter import every
from memfold.projections.vector_index import FIELDS, LanceMemoryIndex, checked_vector, memory_rows
from memfold.projections.vector_served import ServedShard, distances
from memfold.projections.vector_which import Which
from memfold.schemas.records import Scope

PROBES = 24
"""Parts of an index that are looked into; times the inverse of the share of rows that pass, for those lie farther apart."""
REFINED, REFINE = 100, 3
"""Of so many rows, or of so many times those wanted if that is more, the exact distances are computed."""
COMPARED = 5_000
"""Up to so many rows that pass, a shard compares all of them."""
FARTHER = 8
"""So many times as many are asked for again while too few of them pass what only Python can tell of a filter."""
_COUNTS = 1_000
_LEAST_SURE_FIRST: tuple[How, ...] = ("candidates", "approximate", "exact")


class _Scored(NamedTuple):
    """A memory, and how far it is or how well its words fit."""

    score: float
    row: MemoryRow


class _Found(NamedTuple):
    """Rows of one shard, nearest or best first, and how they were found; `newer`: those of its tail, in no order."""

    rows: pa.Table | None
    """None: it cannot look in this way."""
    newer: list[_Scored]
    how: How


class _Best(NamedTuple):
    """The same of all shards."""

    rows: list[_Scored]
    newer: list[_Scored]
    how: How


Take = Callable[[ServedShard, int], Awaitable[_Found]]


class LanceWideIndex:
    """A `WideIndex` over the tables of a `LanceMemoryIndex`, for the same event loop. Raises ShardDamaged, ShardRefused."""

    def __init__(self, index: LanceMemoryIndex) -> None:
        self._index = index
        # Of a table at one version, for as long as somebody reads it.
        self._counts: WeakKeyDictionary[AsyncTable, OrderedDict[str, int]] = WeakKeyDictionary()
        self._known: WeakKeyDictionary[AsyncTable, dict[str, str]] = WeakKeyDictionary()

    async def candidates(
        self, tenant: str, subject: str | None, scope: Scope, asked: Asked, limit: int
    ) -> Candidates:
        """See the port."""
        where = tenant, subject, scope, asked, limit
        (by_meaning, meaning), (by_words, words) = await asyncio.gather(
            self.near(*where), self._worded(*where)
        )
        if words == "candidates":
            by_words += await waiting(self._index, tenant, subject, scope, asked.only, limit)
        rows = {row.memory_id: row for row in [*by_meaning, *by_words]}
        return Candidates([*rows.values()], meaning, words)

    async def near(
        self, tenant: str, subject: str | None, scope: Scope, asked: Asked, limit: int
    ) -> tuple[list[MemoryRow], How]:
        """The nearest in meaning, best first, and how they were looked for. Raises InvalidInput for a vector without a direction."""
        checked_vector(asked.vector)
        which = self._index.which(tenant, subject, scope)

        async def take(shard: ServedShard, most: int) -> _Found:
            return await self._nearest(shard, which, asked, most)

        best = await self._best(which, take, asked, "_distance", limit)
        nearest = sorted([*best.rows, *best.newer], key=lambda one: one.score)
        return [one.row for one in nearest[:limit]], best.how

    async def _worded(
        self, tenant: str, subject: str | None, scope: Scope, asked: Asked, limit: int
    ) -> tuple[list[MemoryRow], How]:
        which = self._index.which(tenant, subject, scope)

        async def take(shard: ServedShard, most: int) -> _Found:
            return await self._with_words(shard, which, asked, most)

        best = await self._best(which, take, asked, "_score", limit)
        # Scores of an index and counts of words cannot be compared: they come beside each other.
        newer = sorted(best.newer, key=lambda one: -one.score)
        return [one.row for one in [*best.rows, *newer[:limit]]], best.how

    async def _best(
        self, which: Which, take: Take, asked: Asked, by: Literal["_distance", "_score"], limit: int
    ) -> _Best:
        """The best `limit` of all tables that pass the whole filter, what is newer, and the least sure way in which a shard looked.

        Asks for more and more, in the end for all there are, until enough pass.
        """
        most, rest = limit, compiled(asked.only).rest
        while True:
            found = await self._index.ask_all(which.tenant, which.subject, _for(take, most))
            tables = [one.rows for one in found if one.rows is not None]
            rows = await asyncio.to_thread(_passing, tables, by, rest, limit)
            if rest is None or len(rows) >= limit or all(table.num_rows < most for table in tables):
                newer = [scored for one in found for scored in one.newer]
                return _Best(rows, newer, _least_sure({one.how for one in found}))
            most *= FARTHER

    async def _nearest(self, shard: ServedShard, which: Which, asked: Asked, most: int) -> _Found:
        how: How = "exact"
        conditions = [which.condition(), *compiled(asked.only).conditions]
        query = shard.table.query().nearest_to(asked.vector).distance_type("cosine")
        passing = await self._count(shard.table, every(*conditions))
        there = await self._count(shard.table, None)
        if MEANING in await self._indices(shard.table) and passing > max(COMPARED, 2 * most):
            how = "approximate"
            query = query.nprobes(PROBES * there // passing).refine_factor(max(REFINE, REFINED // most))
        else:
            query = query.bypass_vector_index()
        query = query.where(shard.beneath(*conditions)).limit(most)
        found = await query.select([*FIELDS, "vector", "_distance"]).to_arrow()
        newer = [row for row in shard.above(which.holds, asked.only) if row.vector]
        return _Found(found, [*map(_Scored, distances(asked.vector, newer), newer)], how)

    async def _count(self, table: AsyncTable, condition: str | None) -> int:
        """How many rows of the table pass; counted once for each version of it."""
        counts = self._counts.setdefault(table, OrderedDict())
        found = counts.get(condition or "")
        if found is None:
            counts[condition or ""] = found = await table.count_rows(condition)
            if len(counts) > _COUNTS:
                counts.popitem(last=False)
        return found

    async def _indices(self, table: AsyncTable) -> dict[str, str]:
        """The indices of a version of a table; asked for once."""
        if table not in self._known:
            self._known[table] = names_of(await table.list_indices())
        return self._known[table]

    async def _with_words(self, shard: ServedShard, which: Which, asked: Asked, most: int) -> _Found:
        """By Lance's full-text search: it knows the whole scope's words, and memfold's own counts then rank what it finds."""
        if WORDS not in await self._indices(shard.table):
            return _Found(None, [], "candidates")
        condition = shard.beneath(which.condition(), *compiled(asked.only).conditions)
        query = shard.table.query().nearest_to_text(asked.text, columns=[WORDS]).where(condition).limit(most)
        found = await query.select([*FIELDS, "vector", "_score"]).to_arrow()
        wanted = set(terms(asked.text))
        shared = [
            _Scored(len(wanted & set(terms(row.text))), row) for row in shard.above(which.holds, asked.only)
        ]
        return _Found(found, [one for one in shared if one.score], "exact")


def _for(take: Take, most: int) -> Callable[[ServedShard], Awaitable[_Found]]:
    return lambda shard: take(shard, most)


def _least_sure(ways: set[How]) -> How:
    for way in _LEAST_SURE_FIRST:
        if way in ways:
            return way
    return "exact"


def _passing(tables: Sequence[pa.Table], by: str, rest: Filter | None, limit: int) -> list[_Scored]:
    """The best that pass, best first: the nearest, or those with the highest score."""
    if not tables:
        return []
    found = pa.concat_tables(tables).sort_by([(by, "ascending" if by == "_distance" else "descending")])
    found = found.slice(0, limit) if rest is None else found
    scored = map(_Scored, found[by].to_pylist(), memory_rows(found))
    return [one for one in scored if rest is None or matches(rest, one.row)][:limit]
