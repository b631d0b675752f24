"""What a worker and a caller open: the key store, the log, the served projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from memfold.memory.errors import ShardDamaged
from memfold.projections.vector_feed import LanceMemoryFeed
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.serve.log_parts import LogParts
from memfold.serve.repartitioned import check_not_moved
from memfold.serve.settings import Settings
from memfold.streams.writer import LogWriter


@dataclass(frozen=True, slots=True)
class Parts(LogParts):
    """The opened parts of one deployment in one process."""

    index: LanceMemoryIndex
    feed: LanceMemoryFeed

    @classmethod
    def open(
        cls,
        settings: Settings,
        bootstrap_servers: str | None,
        roles: Sequence[str] = (),
        *,
        beyond: bool = False,
    ) -> Parts:
        """As LogParts, whose errors it raises."""
        return cls.over(LogParts.open(settings, bootstrap_servers, roles, beyond=beyond))

    @classmethod
    def over(cls, log: LogParts) -> Parts:
        """The same parts with an index."""
        index = LanceMemoryIndex(log.vectors, log.partitions)
        return cls(
            log.settings,
            log.connection,
            log.partitions,
            log.keys,
            log.reader,
            log.vectors,
            log.graphs,
            index,
            LanceMemoryFeed(index.tables, log.partitions),
        )

    def writer(self, linger_ms: int = 0) -> LogWriter:
        """It refuses each append once the log is moved elsewhere: on a Kafka of one's own nothing else would, there the old topics stay."""
        return LogWriter(self.connection, linger_ms, admit=partial(check_not_moved, self.settings.folder))

    async def pending(self, tenant: str) -> int | None:
        """Memories of a tenant that wait to be decided again; None where the projection cannot be read: who asks looks at trouble."""
        try:
            return sum((await self.index.pending(tenant)).values())
        except ShardDamaged:
            return None

    async def close(self) -> None:
        await self.index.close()
        self.close_log()
