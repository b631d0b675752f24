"""A watch is a read: one event when it is opened, and one for what was given since the last one, at most one a second.

One a change would be as much traffic as what is watched. Where reads are strict, each batch is on record before it is given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from memfold.memory.changed import Change
from memfold.memory.noting import note
from memfold.memory.reads import Asked, Going, Reads

GATHERED = 1.0
"""Seconds of given changes that one read event tells of; a process that is killed takes them along, as other reads that were not sent."""


class WatchReads:
    """The reads of one watch."""

    def __init__(self, reads: Reads, ids: tuple[object, ...]) -> None:
        self._reads, self._asked = reads, Asked("watch", None, ids)
        self._given: dict[str, set[str]] = {}
        self._count = 0
        self._last = 0.0
        self._later: asyncio.Task[None] | None = None

    def opening(self) -> Going:
        """The read that opening is; leaving it records it, however it ended."""
        return self._reads.going_on(self._asked)

    async def give(self, given: Iterable[Change]) -> None:
        """These are about to be given. Raises ReadNotRecorded: then nothing may be, and they are to be named again."""
        log = self._reads.log
        if log is None:
            return
        for change in given:
            if change.memory_id:
                self._given.setdefault(change.subject, set()).add(change.memory_id)
                self._count += 1
        if log.strict or time.monotonic() - self._last >= GATHERED:
            await self.record()
        elif self._later is None or self._later.done():
            # In a task of its own: whoever took the changes may come back for more in an hour.
            self._later = asyncio.create_task(self._record_later(self._last + GATHERED - time.monotonic()))

    async def _record_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.record()

    async def record(self) -> None:
        """What was given and is not on record yet. Raises ReadNotRecorded."""
        given, count = self._given, self._count
        self._given, self._count, self._last = {}, 0, time.monotonic()
        if given:
            async with self._reads.going_on(self._asked) as going:
                going.count = count
                for subject, memory_ids in given.items():
                    note(subject, memory_ids)

    async def close(self) -> None:
        if self._later is not None:
            self._later.cancel()
        await self.record()
