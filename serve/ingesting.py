"""An ingest as it runs: records of a source become commands, a batch at a time.

The next batch is read when this one is acknowledged: what is in flight is bounded, and a log that takes commands slowly is read for slowly.
The place is kept after that. Killed anywhere, it begins at most a batch too early, and a command that is written twice has the same id:
`decide` counts it once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from memfold.memory.errors import MemfoldError, NotVisibleYet, WriteUnknown
from memfold.memory.intake import Said
from memfold.memory.intake_source import IntakeSource, SourceRecord
from memfold.memory.ports import Receipt
from memfold.memory.writing import Writing
from memfold.schemas.errors import KeyDestroyed
from memfold.serve.ingest_report import IngestReport
from memfold.serve.intake_places import Places
from memfold.serve.source_mapping import SourceMapping

PATIENCE = 120.0
"""Seconds for which a batch is repeated while the brokers give no clear answer."""
Refused = list[tuple[SourceRecord, str]]


class Ingesting:
    """One source into one tenant's log. `stop` may be called from a signal handler of the loop."""

    def __init__(
        self, writing: Writing, mapping: SourceMapping, places: Places, report: IngestReport
    ) -> None:
        self._writing, self._mapping, self._places, self.report = writing, mapping, places, report
        self._last: dict[int, Receipt] = {}
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """After the batch that is on its way."""
        self._stopped.set()

    async def run(self, source: IntakeSource, show: Callable[[str], None]) -> None:
        """To the source's end, or until it is stopped. Raises BrokerUnreachable, NotWritten, WriteUnknown; run again, it goes on."""
        began = time.monotonic()
        while not self._stopped.is_set():
            records = await asyncio.to_thread(source.take)
            if records is None:
                return
            if not records:
                continue
            await self._write(records)
            self.report.stands = source.told(self._places.by_partition)
            show(self.report.line(self.report.written / (time.monotonic() - began)))

    async def _write(self, records: list[SourceRecord]) -> None:
        said, refused = mapped(self._mapping, records)
        refused += await self._append(said)
        self.report.read += len(records)
        self.report.written += len(records) - len(refused)
        await asyncio.to_thread(self.report.refuse_all, refused)
        await asyncio.to_thread(self._places.move, {one.partition: one.after for one in records})

    async def _append(self, said: list[tuple[SourceRecord, Said]]) -> Refused:
        """All of them acknowledged; those whose subject was erased are refused. Repeated in order where an answer is not clear."""
        patient = AsyncRetrying(
            retry=retry_if_exception_type(WriteUnknown),
            stop=stop_after_delay(PATIENCE),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        refused: Refused = []
        async for attempt in patient:
            with attempt:
                answers = await asyncio.gather(*(self._one(one) for _, one in said), return_exceptions=True)
                refused = _refused(said, answers)
        return refused

    async def _one(self, said: Said) -> None:
        (written,) = await self._writing.add([said.item], said.scope, self._mapping.infer, False, said.key)
        last = self._last.get(written.receipt.partition)
        if last is None or last.offset < written.receipt.offset:
            self._last[written.receipt.partition] = written.receipt

    async def decided(self) -> bool:
        """Wait until all that was written is decided and in view: the last of each partition is, so those before it are."""
        waits = (self._writing.log.outcome(one, self._writing.patience) for one in self._last.values())
        for answer in await asyncio.gather(*waits, return_exceptions=True):
            if isinstance(answer, NotVisibleYet):
                return False
            if isinstance(answer, BaseException):
                raise answer
        return True


def mapped(
    mapping: SourceMapping, records: Iterable[SourceRecord]
) -> tuple[list[tuple[SourceRecord, Said]], Refused]:
    """What the records say; those that say nothing that can be kept, with the reason."""
    said: list[tuple[SourceRecord, Said]] = []
    refused: Refused = []
    for record in records:
        if record.flaw:
            refused.append((record, record.flaw))
            continue
        try:
            said.append((record, mapping.said(record.value, record.beside, record.identity)))
        except MemfoldError as wrong:
            refused.append((record, str(wrong)))
    return said, refused


def _refused(said: list[tuple[SourceRecord, Said]], answers: list[BaseException | None]) -> Refused:
    """Raises the first failure that is not of one record alone."""
    refused: Refused = []
    for (record, _), answer in zip(said, answers, strict=True):
        if isinstance(answer, KeyDestroyed):
            refused.append((record, "its subject was erased; nothing of it is taken in again"))
        elif answer is not None:
            raise answer
    return refused
