"""Upkeep of the archive, beside the archiving: what is over is merged into few sorted files, a partition at a time.

A partition whose files are damaged is left as it is and named in the log, at each round anew; the others go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from memfold.memory.errors import MemfoldError
from memfold.projections.archive_standing import today
from memfold.streams.archiving import ArchiveSink

FIRST = 30.0
"""Seconds after the start until the first round: what starts has to catch up before."""

logger = logging.getLogger(__name__)


class Upkeep:
    """Looks every `every` seconds; files of up to `limit` bytes. `sinks` gives those that are open now."""

    def __init__(self, sinks: Callable[[], Iterable[ArchiveSink]], every: float, limit: int) -> None:
        self._sinks, self._every, self._limit = sinks, every, limit

    async def keep_on(self) -> None:
        """Until it is cancelled."""
        await asyncio.sleep(min(FIRST, self._every))
        while True:
            await self.round()
            await asyncio.sleep(self._every)

    async def round(self) -> int:
        """Merge all that is due now; how many files there are fewer."""
        fewer = 0
        for sink in list(self._sinks()):
            try:
                fewer += await self._merge(sink)
            except (MemfoldError, OSError) as refused:
                logger.error("the archive is not merged: %s", refused)
        return fewer

    async def _merge(self, sink: ArchiveSink) -> int:
        fewer = 0
        while True:
            before, after = await asyncio.to_thread(sink.merge, today(), self._limit)
            if not before:
                return fewer
            fewer += before - after
