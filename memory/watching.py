"""What a watch asks of the outside: the log as it grows, where to take it up, and what memories were before an event."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from memfold.memory.changed import Around, Cleared
from memfold.schemas.records import Event, LogRecord


class Start(Struct, frozen=True):
    """Where a partition of the events is taken up: the next offset, and the highest command offset that counts before it."""

    offset: int
    fence: int


class LiveLog(Protocol):
    """Partitions of the events as they grow, for one watch. Promises order within a partition and no gap.

    Does not promise that an event counts, or is genuine.
    """

    async def take(self) -> Sequence[LogRecord]:
        """What has come; empty if nothing came for a moment. Cancelled, it gives the same records the next time.

        Raises BrokerUnreachable, LogTruncated, LogDamaged.
        """
        ...

    async def close(self) -> None: ...


class WatchedLog(Protocol):
    """The events of a deployment."""

    @property
    def partitions(self) -> int: ...

    async def starts(self, places: Mapping[int, int | None], since: datetime | None) -> dict[int, Start]:
        """Where each partition is taken up: at its offset; if that is None at the moment, or at the end of the log without one.

        Raises InvalidInput for an offset that the log never came to.
        """
        ...

    def follow(self, offsets: Mapping[int, int]) -> LiveLog: ...

    async def around(self, event: Event, memory_ids: Sequence[str]) -> dict[str, Around]:
        """These memories right before and right after an event."""
        ...

    async def cleared(self, event: Event, subjects: Collection[str] | None) -> Cleared:
        """The memories that the clears of an event took, of these subjects, None: of anybody."""
        ...
