"""The served shards, for readers in any process: opened when first asked for, left when another generation is served.

A query is given its table at one version, with the tail that lies above that version's position: rows that are committed while it
runs are not seen twice, nor missed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import lancedb
from lancedb.table import AsyncTable

from memfold.memory.errors import ShardDamaged
from memfold.projections.generations import Generations, Pointer
from memfold.projections.vector_errors import lance_errors
from memfold.projections.vector_rows import position_of
from memfold.projections.vector_served import ServedShard
from memfold.projections.vector_table import IS_POSITION, TABLE, is_there
from memfold.projections.vector_tail import Tail, read_on

Answer = TypeVar("Answer")
CACHE = 64 * 2**20
"""Of each kind, for all partitions together."""
_ALWAYS_FRESH = timedelta(0)
"""Without an interval a reader never sees another process's commits; looking for a newer version takes 0.1 ms."""


@dataclass(slots=True)
class _Opened:
    """A shard as it was last seen. `newest` shows every commit; `table` stays at one version of it."""

    newest: AsyncTable
    table: AsyncTable
    version: int
    tail: Tail


class ServedTables:
    """Follows the served pointer without being told. For one event loop."""

    def __init__(self, generations: Generations) -> None:
        self.generations = generations
        self._session = lancedb.Session(index_cache_size_bytes=CACHE, metadata_cache_size_bytes=CACHE)
        self._opened: dict[Path, _Opened] = {}
        self._pointer: Pointer | None = None
        self._generation = generations.served()

    async def ask(
        self, partition: int, query: Callable[[ServedShard], Awaitable[Answer]], nothing: Answer
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
                    shard = await self._shard(path)
                    return nothing if shard is None else await query(shard)
            except ShardDamaged:
                # A generation that is no longer served may be removed while it is read.
                if self.generations.pointer() == pointer:
                    raise

    async def _shard(self, path: Path) -> ServedShard | None:
        opened = self._opened.get(path)
        if opened is None and not is_there(path):
            return None
        while True:
            opened = await self._at_newest(path, opened)
            tail = read_on(path, opened.tail)
            # Without a file nothing was folded since the commit, or the next commit has taken it: then there is a newer version.
            if tail is not None or await opened.newest.version() == opened.version:
                break
        if tail is not None:
            opened.tail = tail
        # By path: another generation may be served since this began.
        self._opened[path] = opened
        return ServedShard(opened.table, opened.tail, opened.newest)

    async def _at_newest(self, path: Path, opened: _Opened | None) -> _Opened:
        """The shard at the newest version of its table; what was read of a tail is kept where the position is the same."""
        newest = await self._open(path) if opened is None else opened.newest
        version = await newest.version()
        if opened is not None and opened.version == version:
            return opened
        table = await self._open(path)
        await table.checkout(version)
        found = await table.query().where(IS_POSITION).select(["evt_offset", "metadata"]).to_arrow()
        tail = Tail.above(position_of(found))
        if opened is not None and opened.tail.base == tail.base:
            tail = opened.tail
        return _Opened(newest, table, version, tail)

    async def _open(self, path: Path) -> AsyncTable:
        database = await lancedb.connect_async(
            path, read_consistency_interval=_ALWAYS_FRESH, session=self._session
        )
        return await database.open_table(TABLE)

    def close(self) -> None:
        for opened in self._opened.values():
            opened.newest.close()  # type: ignore[no-untyped-call]
            opened.table.close()  # type: ignore[no-untyped-call]
        self._opened.clear()
