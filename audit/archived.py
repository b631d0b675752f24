"""The rows of an archived partition, read so that damage is named and, where the log still has the records, gone past."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]

from memfold.audit.checkpoints import TreeName
from memfold.audit.findings import Report
from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_files import read_batches
from memfold.projections.archive_rows import SCHEMA, leaf_hash
from memfold.projections.archive_segments import Segment, cover, segments
from memfold.schemas.records import LogRecord

BATCH = 5_000
_HASHED = ["offset", "value", "leaf_hash"]
_AFFECTED = 20


class Rows:
    """Consecutive rows: `values` and their `leaves`, hashed anew, from offset `first` on; `table` where all columns were read."""

    def __init__(self, first: int, table: pa.RecordBatch) -> None:
        self.first, self.table = first, table
        # Through numpy: Arrow's own lists make an object for each value first, three times as slow.
        self.values: list[bytes] = table.column("value").to_numpy(zero_copy_only=False).tolist()
        self.leaves = [sha256(b"\0" + value).digest() for value in self.values]

    def records(self, tree: TreeName) -> list[LogRecord]:
        times, keys = (self.table.column(name).to_pylist() for name in ("timestamp_ms", "key"))
        rows = zip(times, keys, self.values, strict=True)
        return [LogRecord(tree.topic, tree.partition, at, *row) for at, row in enumerate(rows, self.first)]


class ArchivedTree:
    """One partition's segments. `end` is the offset behind the last one that the archive claims to hold."""

    def __init__(self, root: Path, tree: TreeName, report: Report, *, whole: bool) -> None:
        self._root = root
        self._tree, self._report, self._columns = tree, report, SCHEMA.names if whole else _HASHED
        found = self._listed()
        self.end = max((one.last + 1 for one in found), default=0)
        self._found = found
        try:
            self.segments = cover(found)
        except ShardDamaged as damage:
            self.segments = _before_gap(found)
            first = self.segments[-1].last + 1 if self.segments else 0
            after = min((one.first for one in found if one.first > first), default=first + 1)
            report.add(
                "file", str(damage), tree, file=str(root / tree.topic), offset=first, last=after - 1
            )  # fmt: skip

    def _listed(self) -> list[Segment]:
        return [
            one for one in segments(self._root, self._tree.topic) if one.partition == self._tree.partition
        ]

    def rows(self, first: int) -> Iterator[Rows]:
        """The rows from offset `first` on, to the end or to where the segments can be read no further, which is reported."""
        while (
            segment := next((one for one in self.segments if one.first <= first <= one.last), None)
        ) is not None:
            try:
                for batch in read_batches(segment, self._columns, BATCH, first):
                    # Python's own: a slice of a batch is a view.
                    skipped = max(0, first - batch["offset"][0].as_py())
                    if skipped < len(batch):
                        rows = Rows(first, batch.slice(skipped))
                        self._check_leaves(rows, segment)
                        yield rows
                        first += len(rows.values)
            except (ShardDamaged, FileNotFoundError) as damage:
                if isinstance(damage, FileNotFoundError) and self._replaced(segment):
                    continue
                self._report.add(
                    "file", str(damage), self._tree, file=str(segment.path), offset=first, last=segment.last
                )  # fmt: skip
                return

    def _replaced(self, segment: Segment) -> bool:
        """Whether the archive's writer has put another file in the place of one that was listed; then all are listed anew."""
        found = self._listed()
        try:
            now = cover(found)
        except ShardDamaged:
            return False
        if not any(one != segment and one.first <= segment.last and segment.first <= one.last for one in now):
            return False
        self._found, self.segments = found, now
        return True

    def _check_leaves(self, rows: Rows, segment: Segment) -> None:
        stored = rows.table.column("leaf_hash").to_numpy(zero_copy_only=False).tolist()
        if stored == rows.leaves:
            return
        for number, (leaf, known) in enumerate(zip(rows.leaves, stored, strict=True)):
            if leaf != known:
                offset = rows.first + number
                self._report.add(
                    "value", f"{segment}: the value at offset {offset} does not have its leaf hash", self._tree,
                    file=str(segment.path), offset=offset, last=offset, memory_ids=self.memory_ids(offset, offset),
                )  # fmt: skip

    def file_of(self, offset: int) -> str:
        """The segment that holds an offset, '' for none."""
        return next((str(one.path) for one in self._found if one.first <= offset <= one.last), "")

    def memory_ids(self, first: int, last: int) -> list[str]:
        """Up to 20 memories that the rows of a range name in clear; fewer where a segment cannot be read."""
        found: dict[str, None] = {}
        for segment in self.segments:
            if segment.last < first or segment.first > last:
                continue
            try:
                for batch in read_batches(segment, ["offset", "memory_ids"], BATCH):
                    start = batch.column("offset")[0].as_py()
                    inside = batch.slice(max(0, first - start), max(0, last + 1 - max(first, start)))
                    for ids in inside.column("memory_ids").to_pylist():
                        found |= dict.fromkeys(ids or ())
            except (ShardDamaged, FileNotFoundError):
                # Reported where the rows are read; here it only means that less is known of what it affects.
                continue
        return list(found)[:_AFFECTED]


def _before_gap(found: list[Segment]) -> list[Segment]:
    longest = {one.first: one for one in sorted(found, key=lambda one: (one.first, one.last))}
    chosen: list[Segment] = []
    while (chosen[-1].last + 1 if chosen else 0) in longest:
        chosen.append(longest[chosen[-1].last + 1 if chosen else 0])
    return chosen


def leaves_of(records: list[LogRecord]) -> list[bytes]:
    return [leaf_hash(record.value) for record in records]
