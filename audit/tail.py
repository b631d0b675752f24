"""The end of the log that is not in the archive yet, as rows of the archive: with both, an answer is never older than the question."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa  # type: ignore[import-untyped]

from memfold.memory.errors import LogTruncated
from memfold.projections.archive_rows import SCHEMA, table_of
from memfold.schemas.records import LogRecord

_CHUNKS = 64


class Tail(Protocol):
    """Reads the log itself."""

    def records_after(self, topic: str, partition: int, offset: int) -> list[LogRecord]:
        """Every record behind `offset` that was acknowledged before the call, in order, with none missing."""
        ...


class TailRows:
    """The tail of one partition. Remembers what it has read, so each question reads only what is new. Not thread-safe."""

    def __init__(self, tail: Tail, topic: str, partition: int) -> None:
        self._tail, self._topic, self._partition = tail, topic, partition
        self._rows = SCHEMA.empty_table()
        self._end = -1

    def after(self, archived: int) -> pa.Table:
        """The rows behind the offset `archived`, as a table of SCHEMA. Raises LogTruncated, and what the tail raises."""
        if not self._end - len(self._rows) <= archived <= self._end:
            self._rows, self._end = SCHEMA.empty_table(), archived
        fresh = self._tail.records_after(self._topic, self._partition, self._end)
        if [record.offset for record in fresh] != list(range(self._end + 1, self._end + 1 + len(fresh))):
            raise LogTruncated(
                f"{self._topic}/{self._partition}: the log does not hold every record behind offset {self._end} any more, and "
                "they are not archived; an answer would miss them"
            )
        self._rows = pa.concat_tables([self._rows, table_of(fresh)])
        self._end += len(fresh)
        self._rows = self._rows.slice(len(self._rows) - (self._end - archived))
        if self._rows.column("offset").num_chunks > _CHUNKS:
            self._rows = self._rows.combine_chunks()
        return self._rows
