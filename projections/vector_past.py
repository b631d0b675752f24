"""The memories of some subjects as they stood at a moment, for a reader that keeps them in its own memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import pyarrow as pa  # type: ignore[import-untyped]
from lancedb.table import AsyncTable

from memfold.memory.ports import Changes, Seen, Within
from memfold.projections.vector_feed import LanceMemoryFeed, inside
from memfold.projections.vector_filter import current_at, every
from memfold.projections.vector_index import FIELDS, memory_rows

_Version = tuple[AsyncTable, int]


class LanceMemoryPast:
    """A `MemoryFeed` whose now is an aware moment. A table that was written to since is read again: its projection may lag."""

    def __init__(self, feed: LanceMemoryFeed, moment: datetime) -> None:
        self._feed, self._moment = feed, moment

    async def changes(self, tenant: str, within: Within, since: Seen | None, most: int) -> Changes | None:
        """See the port; always all of it, or nothing."""
        partitions = self._feed.partitions_of(tenant, within)
        seen = cast("Mapping[int, _Version]", since or {})
        found = await asyncio.gather(*(self._feed.tables.ask(p, _version, None) for p in partitions))
        new = {partition: one for partition, one in zip(partitions, found, strict=True) if one is not None}
        if since is not None and new == dict(seen):
            return Changes([], [], new, whole=False)
        condition = every(*inside(tenant, within), current_at(self._moment))

        async def then(table: AsyncTable) -> pa.Table:
            query = table.query().where(condition).select([*FIELDS, "vector"])
            return await query.limit(most + 1).to_arrow()

        tables = await asyncio.gather(*(self._feed.tables.ask(p, then, None) for p in partitions))
        rows = [row for table in tables if table is not None for row in memory_rows(table)]
        return None if len(rows) > most else Changes(rows, [], new, whole=True)


async def _version(table: AsyncTable) -> _Version:
    return table, await table.version()
