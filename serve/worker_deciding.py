"""What a worker decides with: the models, the ledgers of its partitions, and what was decided."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from memfold.audit.subject_past import FullLogPast
from memfold.memory.following import pinned
from memfold.memory.understanding import Models
from memfold.providers.breaker import BreakerState
from memfold.providers.presets import breakers_of, close_models, judges_from
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.serve.embedding import ServedEmbedder
from memfold.serve.metering import Metering
from memfold.serve.parts import Parts
from memfold.serve.tail import KafkaTail
from memfold.streams.allowance import Allowance
from memfold.streams.decider import DecideRoom
from memfold.streams.ledger import Ledger
from memfold.streams.outcomes import Outcome, Outcomes
from memfold.streams.progress import Progress
from memfold.streams.quarantine import Quarantine
from memfold.streams.traces import Traces
from memfold.streams.writer import LogWriter


class WorkerDeciding:
    """Of one worker."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ledgers: dict[int, Ledger] = {}
        self._models: Models | None = None
        self.outcomes, self.metering = Outcomes(), Metering()

    def room(
        self,
        writer: LogWriter,
        quarantine: Quarantine,
        progress: Progress,
        traces: Traces | None,
        closing: AsyncExitStack,
    ) -> DecideRoom:
        """`closing` closes the models."""
        parts = self._parts
        extractor, decider = judges_from(parts.settings.models)
        embedder = ServedEmbedder(parts.settings.models, parts.vectors)
        models = self._models = Models(embedder, extractor, decider)
        closing.push_async_callback(close_models, extractor, decider)
        closing.push_async_callback(embedder.close)
        return DecideRoom(
            models,
            parts.index,
            parts.index,
            parts.keys,
            parts.reader,
            writer,
            quarantine,
            progress,
            self.outcomes,
            self.metering.decided,
            FullLogPast(
                parts.settings.folder / "archive", parts.partitions, KafkaTail(parts.reader), parts.keys
            ),
            Allowance(rate, parts.settings.subject_burst) if (rate := parts.settings.subject_rate) else None,
            traces,
        )

    def breakers(self) -> list[BreakerState]:
        models = self._models
        return breakers_of(models.extractor, models.decider, pinned(models.embedder)) if models else []

    def ledger(self, partition: int) -> Ledger:
        self._ledgers[partition] = Ledger(self._parts.settings.folder / "ledger" / f"p{partition:04d}.db")
        return self._ledgers[partition]

    async def look_up(self, partition: int, command_id: str) -> Outcome | None:
        """The outcome of a command that was decided long ago: its place from the ledger, its bytes from the log."""
        offset = self._ledgers[partition].offset_of(command_id)
        if offset is None:
            return None
        records = await asyncio.to_thread(self._read_one, partition, offset)
        return offset, records[0].value

    def _read_one(self, partition: int, offset: int) -> list[LogRecord]:
        return next(self._parts.reader.read(EVENTS, partition, offset, offset + 1))
