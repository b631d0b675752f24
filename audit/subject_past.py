"""Everything that was decided of one subject, for the worker that takes commands of it back."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from memfold.audit.bounds import Bounds
from memfold.audit.connection import ReadOnlySQL
from memfold.audit.reading import MAX_OPENED, Reading
from memfold.audit.snapshots import Snapshots
from memfold.audit.tail import Tail
from memfold.schemas.opening import Keys
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Event

MOST = MAX_OPENED
"""Events of one subject that are opened to take some of them back: what a caller could look at beforehand."""


class FullLogPast:
    """Implements SubjectPast over the archive and the tail of the log. Opened for each question: nobody asks often."""

    def __init__(self, archive: Path, partitions: int, tail: Tail, keys: Keys) -> None:
        self._archive, self._partitions, self._tail, self._keys = archive, partitions, tail, keys

    async def events_of(self, tenant: str, subject: str) -> list[Event]:
        """The subject's events and the clears of its tenant, as far as they can be opened; fenced, in log order.

        Raises TooMuchToOpen, UnknownKey, ShardDamaged, LogTruncated, and what the tail raises.
        """
        return await asyncio.to_thread(self._events_of, tenant, subject)

    def _events_of(self, tenant: str, subject: str) -> list[Event]:
        archive = self._archive.resolve()
        with closing(ReadOnlySQL(archive)) as sql:
            events = Snapshots(sql, archive, EVENTS, self._partitions, self._tail)
            reading, bounds = Reading(self._keys, MOST), Bounds(tenant, subject=subject)
            return events.ask(lambda snapshot: reading.lives(snapshot, bounds)).events
