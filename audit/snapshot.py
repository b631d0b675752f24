"""A topic as it stands at one moment, archived or not, and the few questions that audit asks of it.

Each question names the columns that it needs and filters first; values, which are nearly all of the bytes, are read only for the
rows that are left, out of the only files that can hold them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.dataset as ds  # type: ignore[import-untyped]

from memfold.audit.bounds import Bounds
from memfold.audit.connection import ReadOnlySQL
from memfold.audit.seen import Mark, Offsets, Seen
from memfold.projections.archive_rows import SCHEMA
from memfold.projections.archive_segments import Segment
from memfold.schemas.partitions import CLEARS, EVENTS
from memfold.schemas.records import LogRecord

_CLEARING = 'tenant, partition, "offset", subject'


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`segments` are the covers of all partitions, `tail` the rows behind them in the archive's columns."""

    sql: ReadOnlySQL
    segments: Sequence[Segment]
    tail: pa.Table
    topic: str = EVENTS
    seen: Seen = field(default_factory=Seen)

    def marks(self, tenant: str, memory_id: str) -> list[Mark]:
        """The rows of a tenant that name a memory, and all that clear something, by partition and offset."""
        columns = 'partition, "offset", subject, list_contains(memory_ids, $memory_id) AS named'
        where = "tenant = $tenant AND (list_contains(memory_ids, $memory_id) OR list_contains(memory_ids, $clears))"
        parameters = {"tenant": tenant, "memory_id": memory_id, "clears": CLEARS}
        rows = self._select(columns, where, parameters, self.segments).to_pylist()
        marks = [Mark(row["partition"], row["offset"], row["subject"], row["named"]) for row in rows]
        return sorted(marks, key=lambda mark: (mark.partition, mark.offset))

    def subjects(self, bounds: Bounds) -> tuple[set[str], bool]:
        """Whose rows lie inside the bounds, and whether one of them clears something. Not authenticated."""
        where, parameters = _inside(bounds, self._ends(bounds))
        columns = "subject, list_contains(memory_ids, $clears) AS clears"
        found = self._select(columns, where, parameters | {"clears": CLEARS}, self._files(bounds))
        rows = found.group_by("subject").aggregate([("clears", "any")]).to_pylist()
        return {row["subject"] for row in rows}, any(row["clears_any"] for row in rows)

    def rows(
        self, bounds: Bounds, subjects: Collection[str] | None, limit: int
    ) -> list[tuple[str, LogRecord]]:
        """(subject, exact record) of up to `limit` rows in log order: inside the bounds, of one of the subjects (None: of
        anybody), and of the memory of the bounds (None: of any). Not authenticated.
        """
        where, parameters = _of(subjects, *_inside(bounds, self._ends(bounds)))
        columns = 'subject, partition, "offset", timestamp_ms, key, value'
        found = self._select(columns, where, parameters, self._files(bounds), limit)
        rows = [(row.pop("subject"), LogRecord(self.topic, **row)) for row in found.to_pylist()]
        return sorted(rows, key=lambda row: (row[1].partition, row[1].offset))

    def count(self, bounds: Bounds, subjects: Collection[str] | None) -> int:
        """How many rows `rows` would give without a limit."""
        where, parameters = _of(subjects, *_inside(bounds, self._ends(bounds)))
        found = self._select("count(*) AS n", where, parameters, self._files(bounds))
        return sum(found.column("n").to_pylist())

    def newest(
        self, bounds: Bounds, subjects: Collection[str] | None, count: int
    ) -> list[tuple[str, LogRecord]]:
        """`rows` of the newest `count`, by the broker's times."""
        where, parameters = _of(subjects, *_inside(bounds, self._ends(bounds)))
        columns = 'subject, timestamp_ms, "offset", partition'
        found = self._select(columns, where, parameters, self._files(bounds))
        found = found.sort_by([("timestamp_ms", "descending"), ("offset", "descending")]).slice(0, count)
        offsets: dict[int, dict[int, str]] = {}
        for row in found.to_pylist():
            offsets.setdefault(row["partition"], {})[row["offset"]] = row["subject"]
        return [
            (of[record.offset], record)
            for partition, of in sorted(offsets.items())
            for record in self.records(partition, list(of))
        ]

    def clears(self, bounds: Bounds) -> list[Mark]:
        """Every row of the tenant that clears something before the end of the bounds, by partition and offset."""
        unseen = [segment for segment in self.segments if segment.path not in self.seen.clears]
        if unseen:
            columns, where = _CLEARING, "list_contains(memory_ids, $clears)"
            found = self._select(columns, where, {"clears": CLEARS}, unseen, tail=False)
            marks = _marks(found)
            for segment in unseen:
                self.seen.clears[segment.path] = [one for one in marks if _holds(segment, one[1])]
        known = [one for segment in self.segments for one in self.seen.clears[segment.path]]
        ends = self._ends(bounds)
        inside = [
            mark
            for tenant, mark in known + self._tails_clears()
            if tenant == bounds.tenant
            and bounds.partition in (None, mark.partition)
            and (ends is None or mark.offset <= (ends[mark.partition] if mark.partition < len(ends) else -1))
        ]
        return sorted(inside, key=lambda mark: (mark.partition, mark.offset))

    def _tails_clears(self) -> list[tuple[str, Mark]]:
        lists = self.tail.column("memory_ids").combine_chunks()
        clearing = lists.flatten().to_numpy(zero_copy_only=False) == CLEARS
        rows = np.unique(lists.value_parent_indices().to_numpy()[clearing])
        return _marks(self.tail.select(["tenant", "partition", "offset", "subject"]).take(rows))

    def _files(self, bounds: Bounds) -> list[Segment]:
        return [one for one in self.segments if bounds.partition in (None, one.partition)]

    def record(self, tenant: str, record_id: str) -> list[LogRecord]:
        """The exact records that say of themselves that they have an id; more than one where a retry wrote it again."""
        where = "tenant = $tenant AND record_id = $record_id"
        found = self._select(
            'partition, "offset"', where, {"tenant": tenant, "record_id": record_id}, self.segments
        )
        return [
            record for row in found.to_pylist() for record in self.records(row["partition"], [row["offset"]])
        ]

    def end(self) -> tuple[int, ...]:
        """The last offset of each partition, -1 for an empty one."""
        ends = {segment.partition: segment.last for segment in self.segments}
        tail = self.tail.select(["partition", "offset"]).group_by("partition").aggregate([("offset", "max")])
        ends |= {row["partition"]: row["offset_max"] for row in tail.to_pylist()}
        return tuple(ends.get(partition, -1) for partition in range(max(ends, default=-1) + 1))

    def clear_columns(self, bounds: Bounds) -> ds.Dataset:
        """All rows of the tenant inside the bounds, for a connection that may not read files itself. Columns without `value`."""
        checked = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        parquet = ds.ParquetFileFormat(default_fragment_scan_options=checked)
        files = ds.dataset([str(segment.path) for segment in self.segments], schema=SCHEMA, format=parquet)
        where = pc.field("tenant") == bounds.tenant
        if bounds.subject is not None:
            where &= pc.field("subject") == bounds.subject
        if bounds.partition is not None:
            where &= pc.field("partition") == bounds.partition
        if bounds.since is not None:
            where &= pc.field("timestamp_ms") >= bounds.since
        if bounds.until is not None:
            where &= pc.field("timestamp_ms") < bounds.until
        return ds.dataset([files, ds.dataset(self.tail)]).filter(where)

    def _ends(self, bounds: Bounds) -> list[int] | None:
        return None if bounds.until is None else self.ends(bounds.until)

    def ends(self, until: int) -> list[int]:
        """The last offset before `until` in each partition: a stretch of the log, also where the broker's clock went back."""
        found = self._select(
            'partition, max("offset") AS "offset"',
            "timestamp_ms < $until GROUP BY partition",
            {"until": until},
            self.segments,
        )
        ends = {
            row["partition"]: row["offset_max"]
            for row in found.group_by("partition").aggregate([("offset", "max")]).to_pylist()
        }
        return [ends.get(partition, -1) for partition in range(max(ends, default=-1) + 1)]

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

    def command_offsets(self, partition: int, before: int, least: int) -> tuple[Offsets, Offsets]:
        """Offsets and command offsets, in offset order, of a partition's rows before an offset whose command offset is at least `least`."""
        files = [one for one in self.segments if one.partition == partition and one.first < before]
        unseen = [segment for segment in files if segment.path not in self.seen.commands]
        where = "partition = $partition AND command_offset IS NOT NULL"
        if unseen:
            found = self._select(
                '"offset", command_offset', where, {"partition": partition}, unseen, tail=False
            )
            offsets, commands = _arrays(found.sort_by("offset"))
            for segment in unseen:
                inside = slice(*np.searchsorted(offsets, [segment.first, segment.last + 1]))
                self.seen.commands[segment.path] = offsets[inside].copy(), commands[inside].copy()
        rows = self.tail.filter((pc.field("partition") == partition) & pc.field("command_offset").is_valid())
        parts = [*(self.seen.commands[segment.path] for segment in files), _arrays(rows)]
        offsets, commands = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        wanted = (offsets < before) & (commands >= least)
        return offsets[wanted], commands[wanted]

    def _select(
        self,
        columns: str,
        where: str,
        parameters: Mapping[str, object],
        files: Iterable[Segment],
        limit: int | None = None,
        *,
        tail: bool = True,
    ) -> pa.Table:
        paths = [str(segment.path) for segment in files]
        halves = []
        if paths:
            halves.append(f"SELECT {columns} FROM read_parquet($files) WHERE {where}")
            parameters = {**parameters, "files": paths}
        if not paths or (tail and len(self.tail)):
            halves.append(f"SELECT {columns} FROM tail WHERE {where}")
        # The filter stands in each half: outside of the union it would be applied to whole rows.
        sql = " UNION ALL ".join(halves) + ("" if limit is None else f" LIMIT {limit}")
        return self.sql.query(sql, parameters, {"tail": self.tail} if "FROM tail" in halves[-1] else {})


def _marks(found: pa.Table) -> list[tuple[str, Mark]]:
    rows = found.to_pylist()
    return [(row["tenant"], Mark(row["partition"], row["offset"], row["subject"], False)) for row in rows]


def _arrays(found: pa.Table) -> tuple[Offsets, Offsets]:
    return found.column("offset").to_numpy(), found.column("command_offset").to_numpy()


def _holds(segment: Segment, mark: Mark) -> bool:
    return segment.partition == mark.partition and segment.first <= mark.offset <= segment.last


def _of(
    subjects: Collection[str] | None, where: str, given: dict[str, object]
) -> tuple[str, dict[str, object]]:
    """One subject is a plain comparison, which DuckDB checks against a file's statistics; several are a join."""
    if subjects is None:
        return where, given
    if len(subjects) == 1:
        return f"{where} AND subject = $subject", given | {"subject": next(iter(subjects))}
    return f"{where} AND subject IN (SELECT unnest($subjects::VARCHAR[]))", given | {
        "subjects": list(subjects)
    }


def _inside(bounds: Bounds, ends: list[int] | None) -> tuple[str, dict[str, object]]:
    where = "tenant = $tenant"
    given: dict[str, object] = {"tenant": bounds.tenant}
    if bounds.partition is not None:
        where, given["partition"] = f"{where} AND partition = $partition", bounds.partition
    if bounds.memory_id is not None:
        where, given["memory_id"] = f"{where} AND list_contains(memory_ids, $memory_id)", bounds.memory_id
    if bounds.since is not None:
        where, given["since"] = f"{where} AND timestamp_ms >= $since", bounds.since
    if bounds.after:
        where += ' AND "offset" > coalesce(list_extract($after::BIGINT[], partition + 1), -1)'
        given["after"] = list(bounds.after)
    if ends is not None:
        where, given["ends"] = f'{where} AND "offset" <= list_extract($ends::BIGINT[], partition + 1)', ends
    return where, given
