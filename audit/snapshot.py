"""A topic as it stands at one moment, archived or not, and the few questions that audit asks of it.

Each question names the columns that it needs and filters first; values, which are nearly all of the bytes, are read only for the
rows that are left, out of the only files that can hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa  # type: ignore[import-untyped]

from memfold.audit.connection import ReadOnlySQL
from memfold.projections.archive_segments import Segment
from memfold.schemas.partitions import CLEARS, EVENTS
from memfold.schemas.records import LogRecord


@dataclass(frozen=True, slots=True)
class Mark:
    """A row that may matter to a memory: it names the memory, or it clears a scope in the tenant. Not authenticated yet."""

    partition: int
    offset: int
    subject: str
    named: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`segments` are the covers of all partitions, `tail` the rows behind them in the archive's columns."""

    sql: ReadOnlySQL
    segments: Sequence[Segment]
    tail: pa.Table
    topic: str = EVENTS

    def marks(self, tenant: str, memory_id: str) -> list[Mark]:
        """The rows of a tenant that name a memory, and all that clear something, by partition and offset."""
        columns = 'partition, "offset", subject, list_contains(memory_ids, $memory_id) AS named'
        where = "tenant = $tenant AND (list_contains(memory_ids, $memory_id) OR list_contains(memory_ids, $clears))"
        parameters = {"tenant": tenant, "memory_id": memory_id, "clears": CLEARS}
        rows = self._select(columns, where, parameters, self.segments).to_pylist()
        marks = [Mark(row["partition"], row["offset"], row["subject"], row["named"]) for row in rows]
        return sorted(marks, key=lambda mark: (mark.partition, mark.offset))

    def records(self, partition: int, offsets: Sequence[int]) -> list[LogRecord]:
        """The exact records at some offsets of a partition, in order."""
        files = [
            segment
            for segment in self.segments
            if segment.partition == partition and any(segment.first <= o <= segment.last for o in offsets)
        ]
        columns = 'partition, "offset", timestamp_ms, key, value'
        where = 'partition = $partition AND "offset" IN (SELECT unnest($offsets::BIGINT[]))'
        rows = self._select(columns, where, {"partition": partition, "offsets": list(offsets)}, files)
        records = [LogRecord(self.topic, *row.values()) for row in rows.to_pylist()]
        return sorted(records, key=lambda record: record.offset)

    def command_offsets(self, partition: int, before: int, least: int) -> pa.Table:
        """Columns `offset` and `command_offset`, in offset order, of the rows before an offset whose command offset is at least `least`."""
        files = [
            segment for segment in self.segments if segment.partition == partition and segment.first < before
        ]
        where = 'partition = $partition AND "offset" < $before AND command_offset >= $least'
        parameters = {"partition": partition, "before": before, "least": least}
        return self._select('"offset", command_offset', where, parameters, files).sort_by("offset")

    def _select(
        self, columns: str, where: str, parameters: Mapping[str, object], files: Iterable[Segment]
    ) -> pa.Table:
        paths = [str(segment.path) for segment in files]
        sql = f"SELECT {columns} FROM tail WHERE {where}"
        if paths:
            # The filter stands in each half: outside of the union it would be applied to whole rows.
            sql = f"SELECT {columns} FROM read_parquet($files) WHERE {where} UNION ALL {sql}"
            parameters = {**parameters, "files": paths}
        return self.sql.query(sql, parameters, {"tail": self.tail})
