"""Reads the served generation of the vector projection: exact search, current rows, positions."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from lancedb.query import ColumnOrdering

from memfold.memory.errors import InvalidInput
from memfold.memory.filters import All, Filter
from memfold.memory.matching import matches
from memfold.memory.ports import Hit, MemoryRow, Vectors
from memfold.projections.generations import Generations
from memfold.projections.vector_conditions import compiled
from memfold.projections.vector_filter import every, one_of
from memfold.projections.vector_fold import moment
from memfold.projections.vector_reader import ServedTables
from memfold.projections.vector_rows import decode_relations, scope_of, vectors_of
from memfold.projections.vector_served import ServedShard, distances
from memfold.projections.vector_which import AsOf, Which
from memfold.schemas.partitions import partition_of
from memfold.schemas.records import Scope

_OLDEST_FIRST = [ColumnOrdering(column_name=name) for name in ("created_at", "memory_id")]
_TIMES = ["created_at", "updated_at", "valid_from", "valid_to"]
_SCOPE = ["user_id", "agent_id", "run_id", "actor_id"]
_APART = {*_TIMES, *_SCOPE}
FIELDS = ["tenant", "subject", "memory_id", "version", "text", *_SCOPE]
FIELDS += [
    "role",
    "metadata",
    "relations",
    *_TIMES,
    "kind",
    "pending",
    "said",
    "said_count",
    "when",
    "added_offset",
    "ordinal",
]
Answer = TypeVar("Answer")


class LanceMemoryIndex:
    """A `MemoryIndex` over LanceDB tables, in any process, for one event loop. Raises ShardDamaged, ShardRefused."""

    def __init__(self, generations: Generations, partitions: int) -> None:
        self.tables = ServedTables(generations)
        self._partitions = partitions
        self._standing = AsOf()

    def at(self, moment: datetime) -> LanceMemoryIndex:
        """The same index as of an aware moment: `search`, `current` and `find` give the versions that were current then.

        The relations in a row of a version that has been closed since are those of its end; the graph knows those of a moment.
        """
        then = copy.copy(self)
        then._standing = AsOf(moment)
        return then

    def which(self, tenant: str, subject: str | None, scope: Scope) -> Which:
        """The rows inside the scope that stood at the index's moment."""
        return Which(tenant, subject, scope, self._standing)

    async def search(
        self,
        tenant: str,
        subject: str | None,
        scope: Scope,
        vector: Vectors,
        limit: int,
        only: Filter | None = None,
    ) -> list[Hit]:
        """The nearest current rows inside the scope that pass `only`, exact, best first; rows without a vector are not found.

        `vector`: shape (dimensions,). Raises InvalidInput for NaN, infinity or a zero vector, which have no direction.
        """
        checked_vector(vector)
        which, tree = self.which(tenant, subject, scope), only or All()
        conditions, rest = compiled(tree)

        async def nearest(shard: ServedShard) -> list[Hit]:
            condition = shard.beneath(which.condition(), *conditions)
            query = shard.table.query().nearest_to(vector).distance_type("cosine").bypass_vector_index()
            # What LanceDB cannot tell is asked of every row before the best are taken.
            most = limit if rest is None else max(1, await shard.table.count_rows(condition))
            asked = query.where(condition).limit(most).select([*FIELDS, "vector", "_distance"])
            found = await asked.to_arrow()
            rows = memory_rows(found)
            near = [*zip(rows, found["_distance"].to_pylist(), strict=True)]
            near = [(row, distance) for row, distance in near if rest is None or matches(rest, row)]
            newer = [row for row in shard.above(which.holds, tree) if row.vector]
            near += zip(newer, distances(vector, newer), strict=True)
            return [Hit(row, 1 - distance) for row, distance in near]

        hits = [hit for found in await self.ask_all(tenant, subject, nearest) for hit in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.row.memory_id))[:limit]

    async def current(
        self,
        tenant: str,
        subject: str | None,
        scope: Scope,
        limit: int | None,
        only: Filter | None = None,
    ) -> list[MemoryRow]:
        """Current rows inside the scope that pass `only`, with their vectors, oldest first (`created_at`, then `memory_id`)."""
        which, tree = self.which(tenant, subject, scope), only or All()
        conditions, rest = compiled(tree)

        async def oldest(shard: ServedShard) -> list[MemoryRow]:
            query = shard.table.query().where(shard.beneath(which.condition(), *conditions))
            query = query.select([*FIELDS, "vector"])
            if limit is not None and rest is None:
                query = query.order_by(_OLDEST_FIRST).limit(limit)
            rows = memory_rows(await query.to_arrow())
            rows = [row for row in rows if rest is None or matches(rest, row)]
            return rows + shard.above(which.holds, tree)

        rows = [row for found in await self.ask_all(tenant, subject, oldest) for row in found]
        return sorted(rows, key=lambda row: (row.created_at, row.memory_id))[:limit]

    async def texts(self, tenant: str, subject: str) -> list[tuple[str, Scope]]:
        """Text and scope of each current memory of a subject, in no order."""
        which = self.which(tenant, subject, Scope())

        async def asked(shard: ServedShard) -> list[tuple[str, Scope]]:
            query = shard.table.query().where(shard.beneath(which.condition()))
            found = await query.select(["text", *_SCOPE]).to_arrow()
            newer = [(row.text, scope_of(row)) for row in shard.tail.rows.values() if which.holds(row)]
            return [*zip(found["text"].to_pylist(), _scopes(found), strict=True), *newer]

        return [pair for found in await self.ask_all(tenant, subject, asked) for pair in found]

    async def find(self, tenant: str, memory_ids: Sequence[str]) -> list[MemoryRow]:
        """The current rows of these memories, in the order asked for; those that are unknown or deleted are left out."""
        if not memory_ids:
            return []
        which, wanted = self.which(tenant, None, Scope()), dict.fromkeys(memory_ids)

        async def asked(shard: ServedShard) -> list[MemoryRow]:
            condition = shard.beneath(one_of("memory_id", wanted), which.condition())
            found = await shard.table.query().where(condition).select([*FIELDS, "vector"]).to_arrow()
            newer = shard.above(lambda row: row.memory_id in wanted and which.holds(row))
            return [*memory_rows(found), *newer]

        rows = {row.memory_id: row for found in await self.ask_all(tenant, None, asked) for row in found}
        return [rows[memory_id] for memory_id in wanted if memory_id in rows]

    async def holders(self, memory_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """(tenant, subject) of each that any version has, also one that is over, whatever the tenant; new ids are left out."""
        if not memory_ids:
            return {}
        wanted = dict.fromkeys(memory_ids)
        condition = one_of("memory_id", wanted)

        async def asked(shard: ServedShard) -> dict[str, tuple[str, str]]:
            # Of a version that the tail has replaced the table says the same.
            found = (
                await shard.table.query()
                .where(condition)
                .select(["memory_id", "tenant", "subject"])
                .to_arrow()
            )
            holders = {row["memory_id"]: (row["tenant"], row["subject"]) for row in found.to_pylist()}
            newer = [row for row in shard.tail.rows.values() if row.memory_id in wanted]
            return holders | {row.memory_id: (row.tenant, row.subject) for row in newer}

        holders: dict[str, tuple[str, str]] = {}
        for found in await self.ask_all("", None, asked):
            holders |= found
        return holders

    async def pending(self, tenant: str) -> dict[str, int]:
        """How many current memories of each subject were kept as they were said because a model had failed."""
        which = Which(tenant, None, Scope(), AsOf())
        condition = every(which.condition(), "pending")

        async def waiting(shard: ServedShard) -> list[str]:
            found = await shard.table.query().where(shard.beneath(condition)).select(["subject"]).to_arrow()
            newer = shard.above(lambda row: row.pending and which.holds(row))
            return [*found["subject"].to_pylist(), *(row.subject for row in newer)]

        found = await self.ask_all(tenant, None, waiting)
        return dict(Counter(subject for subjects in found for subject in subjects))

    async def position(self, partition: int) -> int:
        """Offset of the last event that a reader sees, -1 for none."""

        async def reached(shard: ServedShard) -> int:
            return shard.tail.position.offset

        return await self.tables.ask(partition, reached, -1)

    async def close(self) -> None:
        self.tables.close()

    async def ask_all(
        self, tenant: str, subject: str | None, query: Callable[[ServedShard], Awaitable[Answer | None]]
    ) -> list[Answer]:
        """What a query finds in the subject's partition, or in all of them."""
        some = range(self._partitions)
        if subject is not None:
            some = range(home := partition_of(tenant, subject, self._partitions), home + 1)
        found = await asyncio.gather(*(self.tables.ask(partition, query, None) for partition in some))
        return [answer for answer in found if answer is not None]


def checked_vector(vector: Vectors) -> None:
    """Raises InvalidInput for what has no direction."""
    if vector.ndim != 1 or not np.isfinite(vector).all() or not vector.any():
        raise InvalidInput(
            f"a vector of shape {vector.shape} that is not one finite, non-zero row cannot be searched for"
        )


def memory_rows(found: pa.Table) -> list[MemoryRow]:
    """The rows of a query that selected FIELDS, with their vectors if it selected those."""
    columns: dict[str, list[Any]] = {name: found[name].to_pylist() for name in FIELDS if name not in _APART}
    for name in _TIMES:
        columns[name] = [_moment(micros) for micros in found[name].cast(pa.int64()).to_pylist()]
    columns["relations"] = [decode_relations(text) if text != "[]" else [] for text in columns["relations"]]
    columns["scope"] = _scopes(found)
    if "vector" in found.column_names:
        vectors = (vector for chunk in found["vector"].chunks for vector in vectors_of(chunk))
        columns["vector"] = [vector or b"" for vector in vectors]
    names = list(columns)
    return [MemoryRow(**dict(zip(names, each, strict=True))) for each in zip(*columns.values(), strict=True)]


def _scopes(found: pa.Table) -> list[Scope]:
    return [Scope(*each) for each in zip(*(found[name].to_pylist() for name in _SCOPE), strict=True)]


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else moment(micros)
