"""What has changed among the memories of some subjects since a reader last looked: how a reader keeps them in its own memory.

Every change of a row, also its end, carries the offset of the event that made it; so the rows with a higher offset than the last
one seen are all that changed. While a table has the version that was seen, nothing is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from lancedb.table import AsyncTable

from memfold.memory.ports import Changes, Seen, Within
from memfold.projections.vector_filter import CURRENT, equal, every, one_of
from memfold.projections.vector_index import FIELDS, memory_rows
from memfold.projections.vector_reader import ServedTables
from memfold.schemas.partitions import partition_of


class _Mark(NamedTuple):
    """What was seen of one partition. Another table object means another generation: nothing of the old one counts."""

    table: AsyncTable
    version: int
    offset: int


class _Found(NamedTuple):
    mark: _Mark
    rows: pa.Table | None


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
            partition in marks and new.get(partition, (None,))[0] is not mark.table
            for partition, mark in marks.items()
        ):
            # Another generation is served: what was seen of the old one tells nothing about the new one.
            return await self.changes(tenant, within, None, most)
        rows = [one.rows for one in found if one and one.rows is not None]
        if sum(table.num_rows for table in rows) > most and since is None:
            return None
        current = [row for table in rows for row in memory_rows(table.filter(pc.field("valid_to").is_null()))]
        ended = (table.filter(pc.field("valid_to").is_valid())["memory_id"].to_pylist() for table in rows)
        gone = {memory_id for ids in ended for memory_id in ids} - {row.memory_id for row in current}
        return Changes(current, sorted(gone), new, whole=since is None)

    async def _ask(
        self, tenant: str, within: Within, partition: int, mark: _Mark | None, most: int
    ) -> _Found | None:
        async def changed(table: AsyncTable) -> _Found:
            version = await table.version()
            if mark is not None and mark.table is table and mark.version == version:
                return _Found(mark, None)
            query = table.query().select([*FIELDS, "vector", "evt_offset"])
            if mark is None or mark.table is not table:
                rows = await query.where(every(*inside(tenant, within), CURRENT)).limit(most + 1).to_arrow()
            else:
                newer = every(*inside(tenant, within), f"evt_offset > {mark.offset}")
                rows = await query.where(newer).to_arrow()
            seen = max(rows["evt_offset"].to_pylist(), default=-1)
            return _Found(_Mark(table, version, max(seen, mark.offset if mark else -1)), rows)

        return await self.tables.ask(partition, changed, None)

    def partitions_of(self, tenant: str, within: Within) -> list[int]:
        """Where rows of these may be."""
        if within.subjects is None:
            return [*range(self._partitions)]
        return sorted({partition_of(tenant, subject, self._partitions) for subject in within.subjects})


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
