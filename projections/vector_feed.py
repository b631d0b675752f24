"""What has changed among the memories of some subjects since a reader last looked: how a reader keeps them in its own memory.

Every change of a row, also its end, carries the offset of the event that made it; so the rows with a higher offset than the position
that was seen are all that changed. Most of them stand in the tail: a table that was not committed above that position is not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.memory.ports import Changes, MemoryRow, Seen, Within
from memfold.projections.vector_filter import CURRENT, equal, one_of
from memfold.projections.vector_index import FIELDS, memory_rows
from memfold.projections.vector_memory import memory_row
from memfold.projections.vector_reader import ServedTables
from memfold.projections.vector_rows import Row
from memfold.projections.vector_served import ServedShard
from memfold.schemas.partitions import partition_of


class _Mark(NamedTuple):
    """What was seen of one partition: all up to an offset. Of another generation nothing of it counts."""

    of: object
    offset: int


class _Found(NamedTuple):
    mark: _Mark
    current: list[MemoryRow]
    ended: list[str]


class LanceMemoryFeed:
    """A `MemoryFeed` over the tables of a `LanceMemoryIndex`, for the same event loop. Raises ShardDamaged, ShardRefused."""

    def __init__(self, tables: ServedTables, partitions: int) -> None:
        self.tables, self._partitions = tables, partitions

    async def changes(self, tenant: str, within: Within, since: Seen | None, most: int) -> Changes | None:
        """See the port. Closed versions count as gone unless their memory has a newer one."""
        marks = cast("Mapping[int, _Mark]", since or {})
        partitions = self.partitions_of(tenant, within)
        found = await asyncio.gather(*(self._ask(tenant, within, p, marks.get(p), most) for p in partitions))
        new = {partition: one.mark for partition, one in zip(partitions, found, strict=True) if one}
        if any(
            partition in marks and new.get(partition, (None,))[0] is not mark.of
            for partition, mark in marks.items()
        ):
            # Another generation is served: what was seen of the old one tells nothing about the new one.
            return await self.changes(tenant, within, None, most)
        current = [row for one in found if one for row in one.current]
        if len(current) > most and since is None:
            return None
        gone = {memory_id for one in found if one for memory_id in one.ended}
        gone -= {row.memory_id for row in current}
        return Changes(current, sorted(gone), new, whole=since is None)

    async def _ask(
        self, tenant: str, within: Within, partition: int, mark: _Mark | None, most: int
    ) -> _Found | None:
        async def changed(shard: ServedShard) -> _Found:
            known = mark if mark is not None and mark.of is shard.of else None
            tables = await _from_table(shard, tenant, within, known, most)
            rows = [
                row
                for row in shard.tail.rows.values()
                if (known is None or row.evt_offset > known.offset) and is_inside(row, tenant, within)
            ]
            current = [memory_row(row) for row in rows if row.valid_to is None]
            ended = [row.memory_id for row in rows if row.valid_to is not None]
            for table in tables:
                current += memory_rows(table.filter(pc.field("valid_to").is_null()))
                ended += table.filter(pc.field("valid_to").is_valid())["memory_id"].to_pylist()
            return _Found(_Mark(shard.of, shard.tail.position.offset), current, ended)

        return await self.tables.ask(partition, changed, None)

    def partitions_of(self, tenant: str, within: Within) -> list[int]:
        """Where rows of these may be."""
        if within.subjects is None:
            return [*range(self._partitions)]
        return sorted({partition_of(tenant, subject, self._partitions) for subject in within.subjects})


async def _from_table(
    shard: ServedShard, tenant: str, within: Within, known: _Mark | None, most: int
) -> list[pa.Table]:
    """What stands in the table and was not seen; nothing is asked of one that had nothing new since."""
    query = shard.table.query().select([*FIELDS, "vector"])
    if known is None:
        condition = shard.beneath(*inside(tenant, within), CURRENT)
        return [await query.where(condition).limit(most + 1).to_arrow()]
    if shard.tail.base.offset <= known.offset:
        return []
    newer = shard.beneath(*inside(tenant, within), f"evt_offset > {known.offset}")
    return [await query.where(newer).to_arrow()]


def inside(tenant: str, within: Within) -> Iterable[str]:
    """The conditions that a row meets."""
    for column, values in (
        ("subject", within.subjects),
        ("agent_id", within.agents),
        ("run_id", within.runs),
    ):
        if values is not None:
            yield one_of(column, values)
    yield equal("tenant", tenant)


def is_inside(row: Row, tenant: str, within: Within) -> bool:
    """The same of one row."""
    return row.tenant == tenant and all(
        wanted is None or value in wanted
        for value, wanted in (
            (row.subject, within.subjects),
            (row.agent_id, within.agents),
            (row.run_id, within.runs),
        )
    )
