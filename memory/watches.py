"""The watches of one caller: made for a scope, and closed with the caller at the latest."""

from __future__ import annotations

from memfold.memory.reach import Reach
from memfold.memory.reads import Reads
from memfold.memory.watch import AsyncWatch, Watcher
from memfold.memory.watch_reads import WatchReads
from memfold.memory.watched import Directory, Watched
from memfold.memory.watching import WatchedLog


class Watches:
    """Over the log of one tenant."""

    def __init__(self, tenant: str, log: WatchedLog, directory: Directory, reads: Reads) -> None:
        self._tenant, self._log, self._directory, self._reads = tenant, log, directory, reads
        self._open: list[AsyncWatch] = []

    def watcher(self, watch: AsyncWatch, reach: Reach, ids: tuple[object, ...]) -> Watcher:
        """What a watch of this scope works with; from here on it is closed with the caller."""
        self._open = [one for one in self._open if not one.closed]
        self._open.append(watch)
        watched = Watched(self._tenant, reach, self._directory, self._log)
        return Watcher(self._log, watched, self._reads, WatchReads(self._reads, ids))

    async def close(self) -> None:
        for watch in self._open:
            await watch.close()
