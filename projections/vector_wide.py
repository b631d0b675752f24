"""What is worth ranking in a scope that is too large to hold, from the indices that upkeep builds (vector_ann.py).

Each shard is asked for its nearest memories and for those with the question's words, and the best of all shards are taken. A filter
comes before the best are taken, in the index too. Where few rows pass, or a shard has no index yet, every row that passes is compared:
an index of a million finds too little of what passes a narrow filter.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import pyarrow as pa  # type: ignore[import-untyped]
from lancedb.table import AsyncTable

from memfold.memory.filters import Filter
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow
from memfold.memory.wide import Asked, Candidates, How, waiting
from memfold.projections.vector_ann import MEANING, WORDS, names_of
from memfold.projections.vector_conditions import compiled
from memfold.projections.vector_filter import every
from memfold.projections.vector_index import FIELDS, LanceMemoryIndex, checked_vector, memory_rows
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


class _Found(NamedTuple):
    """Rows of one shard, nearest or best first, and how they were found."""

    rows: pa.Table | None
    """None: it cannot look in this way."""
    how: How


Take = Callable[[AsyncTable, int], Awaitable[_Found]]


class LanceWideIndex:
    """A `WideIndex` over the tables of a `LanceMemoryIndex`, for the same event loop. Raises ShardDamaged, ShardRefused."""

    def __init__(self, index: LanceMemoryIndex) -> None:
        self._index = index
        self._counts: OrderedDict[tuple[AsyncTable, int, str], int] = OrderedDict()
        self._known: WeakKeyDictionary[AsyncTable, tuple[int, dict[str, str]]] = WeakKeyDictionary()

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
        conditions, rest = compiled(asked.only)
        condition = every(self._index.condition(tenant, subject, scope), *conditions)

        async def take(table: AsyncTable, most: int) -> _Found:
            return await self._nearest(table, condition, asked, most)

        return await self._best(tenant, subject, take, rest, ("_distance", "ascending"), limit)

    async def _worded(
        self, tenant: str, subject: str | None, scope: Scope, asked: Asked, limit: int
    ) -> tuple[list[MemoryRow], How]:
        conditions, rest = compiled(asked.only)
        condition = every(self._index.condition(tenant, subject, scope), *conditions)

        async def take(table: AsyncTable, most: int) -> _Found:
            return await self._with_words(table, condition, asked.text, most)

        return await self._best(tenant, subject, take, rest, ("_score", "descending"), limit)

    async def _best(
        self,
        tenant: str,
        subject: str | None,
        take: Take,
        rest: Filter | None,
        order: tuple[str, str],
        limit: int,
    ) -> tuple[list[MemoryRow], How]:
        """The best `limit` of all shards that pass `rest`, and the least sure way in which one of them looked.

        Asks for more and more, in the end for all there are, until enough pass.
        """
        most = limit
        while True:
            found = await self._index.ask_all(tenant, subject, _for(take, most))
            tables = [one.rows for one in found if one.rows is not None]
            how = _least_sure({one.how for one in found})
            rows = await asyncio.to_thread(_passing, _ordered(tables, order), rest, limit)
            if rest is None or len(rows) >= limit or all(table.num_rows < most for table in tables):
                return rows, how
            most *= FARTHER

    async def _nearest(self, table: AsyncTable, condition: str, asked: Asked, most: int) -> _Found:
        how: How = "exact"
        query = table.query().nearest_to(asked.vector).distance_type("cosine")
        version = await table.version()
        passing = await self._count(table, version, condition)
        there = await self._count(table, version, None)
        if MEANING in await self._indices(table, version) and passing > max(COMPARED, 2 * most):
            how = "approximate"
            query = query.nprobes(PROBES * there // passing).refine_factor(max(REFINE, REFINED // most))
        else:
            query = query.bypass_vector_index()
        query = query.where(condition).limit(most).select([*FIELDS, "vector", "_distance"])
        return _Found(await query.to_arrow(), how)

    async def _count(self, table: AsyncTable, version: int, condition: str | None) -> int:
        """How many rows pass; counted once for each version of a table."""
        asked = table, version, condition or ""
        if asked not in self._counts:
            self._counts[asked] = await table.count_rows(condition)
            if len(self._counts) > _COUNTS:
                self._counts.popitem(last=False)
        return self._counts[asked]

    async def _indices(self, table: AsyncTable, version: int) -> dict[str, str]:
        """The indices of a version of a table; asked for once."""
        known = self._known.get(table)
        if known is None or known[0] != version:
            self._known[table] = known = version, names_of(await table.list_indices())
        return known[1]

    async def _with_words(self, table: AsyncTable, condition: str, text: str, most: int) -> _Found:
        """By Lance's full-text search: it knows the whole scope's words, and memfold's own counts then rank what it finds."""
        if WORDS not in await self._indices(table, await table.version()):
            return _Found(None, "candidates")
        query = table.query().nearest_to_text(text, columns=[WORDS]).where(condition).limit(most)
        return _Found(await query.select([*FIELDS, "vector", "_score"]).to_arrow(), "exact")


def _for(take: Take, most: int) -> Callable[[AsyncTable], Awaitable[_Found]]:
    return lambda table: take(table, most)


def _least_sure(ways: set[How]) -> How:
    for way in _LEAST_SURE_FIRST:
        if way in ways:
            return way
    return "exact"


def _ordered(tables: Sequence[pa.Table], order: tuple[str, str]) -> pa.Table | None:
    """Best first; None of nothing."""
    return pa.concat_tables(tables).sort_by([order]) if tables else None


def _passing(found: pa.Table | None, rest: Filter | None, limit: int) -> list[MemoryRow]:
    if found is None:
        return []
    if rest is None:
        return memory_rows(found.slice(0, limit))
    return [row for row in memory_rows(found) if matches(rest, row)][:limit]
