"""The memories of some subjects as they stood at a moment, for a reader that keeps them in its own memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from memfold.memory.ports import Changes, MemoryRow, Seen, Within
from memfold.projections.vector_feed import LanceMemoryFeed, inside, is_inside
from memfold.projections.vector_index import FIELDS, memory_rows
from memfold.projections.vector_served import ServedShard
from memfold.projections.vector_which import AsOf

_Reached = tuple[object, int]


class LanceMemoryPast:
    """A `MemoryFeed` whose now is an aware moment. A partition that has come on since is read again: its projection may lag."""

    def __init__(self, feed: LanceMemoryFeed, moment: datetime) -> None:
        self._feed, self._moment = feed, moment

    async def changes(self, tenant: str, within: Within, since: Seen | None, most: int) -> Changes | None:
        """See the port; always all of it, or nothing."""
        partitions = self._feed.partitions_of(tenant, within)
        seen = cast("Mapping[int, _Reached]", since or {})
        found = await asyncio.gather(*(self._feed.tables.ask(p, _reached, None) for p in partitions))
        new = {partition: one for partition, one in zip(partitions, found, strict=True) if one is not None}
        if since is not None and new == dict(seen):
            return Changes([], [], new, whole=False)
        standing = AsOf(self._moment)

        async def then(shard: ServedShard) -> list[MemoryRow]:
            condition = shard.beneath(*inside(tenant, within), standing.condition())
            query = shard.table.query().where(condition).select([*FIELDS, "vector"])
            newer = shard.above(lambda row: standing.holds(row) and is_inside(row, tenant, within))
            return [*memory_rows(await query.limit(most + 1).to_arrow()), *newer]

        found_rows = await asyncio.gather(*(self._feed.tables.ask(p, then, None) for p in partitions))
        rows = [row for some in found_rows if some is not None for row in some]
        return None if len(rows) > most else Changes(rows, [], new, whole=True)


async def _reached(shard: ServedShard) -> _Reached:
    return shard.of, shard.tail.position.offset
