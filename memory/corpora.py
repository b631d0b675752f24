"""The corpora that were searched last, kept current: a search of a scope that has not changed reads nothing from disk.

A subject's thousand memories take about 4 MB and 30 ms to read and index; what changed since is taken in before each search.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from memfold.memory.corpus import Corpus, corpus_of
from memfold.memory.ports import MemoryFeed, MemoryRow, Seen, Within
from memfold.memory.told import Told

MOST = 20_000
"""A scope with more rows than this is not held in memory; it is searched on disk."""
KEPT = 200_000
"""Rows that are kept in all, least recently searched scopes first out."""
_EMPTY = 20
"""Rows that a scope counts for even without any."""
INLINE = 3_000
"""Up to here a corpus is made on the event loop: a thread would only pass the interpreter's lock to and fro."""


@dataclass(slots=True)
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: Seen | None = None
    corpus: Corpus = field(default_factory=lambda: Corpus([]))


class Corpora:
    """One tenant's, in one process, for one event loop."""

    def __init__(self, tenant: str, feed: MemoryFeed, most: int = MOST, kept: int = KEPT) -> None:
        self._tenant, self._feed, self._most, self._limit = tenant, feed, most, kept
        self._kept: OrderedDict[Within, _Kept] = OrderedDict()

    async def of(self, within: Within) -> Corpus | None:
        """The memories as they are now; None when there are too many to hold."""
        kept = self._kept.get(within)
        if kept is None:
            kept = self._kept[within] = _Kept()
        self._kept.move_to_end(within)
        async with kept.lock:
            changes = await self._feed.changes(self._tenant, within, kept.seen, self._most)
            if changes is None:
                self._kept.pop(within, None)
                return None
            if changes.whole or changes.rows or changes.gone:
                old = {} if changes.whole else {one.row.memory_id: one for one in kept.corpus.told}
                rows = {memory_id: told.row for memory_id, told in old.items()}
                rows |= {row.memory_id: row for row in changes.rows}
                for memory_id in changes.gone:
                    rows.pop(memory_id, None)
                if len(rows) > self._most:
                    self._kept.pop(within, None)
                    return None
                kept.corpus = await _made([*rows.values()], old)
            kept.seen = changes.seen
        self._forget()
        return kept.corpus

    def _forget(self) -> None:
        total = sum(len(kept.corpus) + _EMPTY for kept in self._kept.values())
        while total > self._limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            total -= len(oldest.corpus) + _EMPTY


async def _made(rows: list[MemoryRow], known: dict[str, Told]) -> Corpus:
    if len(rows) <= INLINE:
        return corpus_of(rows, known)
    return await asyncio.to_thread(corpus_of, rows, known)
