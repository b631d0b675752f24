"""The served tables, for readers in any process: opened when first asked for, left when another generation is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import lancedb
from lancedb.table import AsyncTable

from memfold.memory.errors import ShardDamaged
from memfold.projections.generations import Generations, Pointer
from memfold.projections.vector_errors import lance_errors
from memfold.projections.vector_table import TABLE, is_there

Answer = TypeVar("Answer")
CACHE = 64 * 2**20
"""Of each kind, for all partitions together."""
_ALWAYS_FRESH = timedelta(0)
"""Without an interval a reader never sees another process's commits; looking for a newer version takes 0.1 ms."""


class ServedTables:
    """Follows the served pointer without being told. For one event loop."""

    def __init__(self, generations: Generations) -> None:
        self.generations = generations
        self._session = lancedb.Session(index_cache_size_bytes=CACHE, metadata_cache_size_bytes=CACHE)
        self._tables: dict[int, AsyncTable] = {}
        self._pointer: Pointer | None = None
        self._generation = generations.served()

    async def ask(
        self, partition: int, query: Callable[[AsyncTable], Awaitable[Answer]], nothing: Answer
    ) -> Answer:
        """What `query` finds in a partition; `nothing` where nothing was written yet. Raises ShardDamaged, ShardRefused."""
        while True:
            pointer = self.generations.pointer()
            if pointer != self._pointer:
                self.close()
                self._generation, self._pointer = self.generations.served(), pointer
            path = self.generations.shard_path(self._generation, partition)
            try:
                with lance_errors(path):
                    table = await self._table(partition, path)
                    return nothing if table is None else await query(table)
            except ShardDamaged:
                # A generation that is no longer served may be removed while it is read.
                if self.generations.pointer() == pointer:
                    raise

    async def _table(self, partition: int, path: Path) -> AsyncTable | None:
        if partition not in self._tables:
            if not is_there(path):
                return None
            database = await lancedb.connect_async(
                path, read_consistency_interval=_ALWAYS_FRESH, session=self._session
            )
            self._tables[partition] = await database.open_table(TABLE)
        return self._tables[partition]

    def close(self) -> None:
        for table in self._tables.values():
            table.close()  # type: ignore[no-untyped-call]
        self._tables.clear()
