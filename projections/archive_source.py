"""Reads the log back out of the archive: the same records, byte for byte, while a writer may be adding to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]

from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_files import read_batches
from memfold.projections.archive_rows import SCHEMA, leaf_hash
from memfold.projections.archive_segments import Segment, read_covers
from memfold.schemas.records import LogRecord

BATCH = 5_000
_COLUMNS = ["offset", "timestamp_ms", "key", "value"]


class ArchiveSource:
    """The archive under `root`, for reading.

    Always checked: the page checksums of the columns that are read, and that no offset is missing. With `verify`: every column is
    read, and each value is hashed and compared with its leaf hash. It does not see that the newest segments are missing: then
    the archive is just shorter, and its writer goes on from there.
    """

    def __init__(self, root: Path, *, verify: bool = False) -> None:
        self._root, self._verify = root, verify
        self._columns = SCHEMA.names if verify else _COLUMNS

    def position(self, topic: str, partition: int) -> int:
        """Offset of the last archived record, -1 for none. Raises ShardDamaged."""
        found = self._cover(topic, partition)
        return found[-1].last if found else -1

    def batches(
        self, topic: str, partition: int, first: int = 0, last: int | None = None, size: int = BATCH
    ) -> Iterator[list[LogRecord]]:
        """The records from offset `first` to `last` (both included, None: all), in order, in lists of up to `size`.

        Raises ShardDamaged, naming the file and the offsets, also when `last` is not archived.
        """
        found = self._cover(topic, partition)
        end = found[-1].last if found else -1
        last = end if last is None else last
        if last > end:
            raise ShardDamaged(
                f"{topic}/{partition}: offset {last} was asked for, but only 0 to {end} are archived"
            )
        while first <= last:
            segment = next((one for one in found if one.first <= first <= one.last), None)
            if segment is None:
                raise ShardDamaged(
                    f"{topic}/{partition}: the segment that held offset {first} has been removed"
                )
            try:
                for records in self._records(segment, first, last, size):
                    yield records
                    first = records[-1].offset + 1
            except FileNotFoundError as gone:
                # A writer may have put a longer segment in its place since the listing.
                found = self._cover(topic, partition)
                if segment in found:
                    raise ShardDamaged(f"{segment} is listed, but cannot be opened") from gone

    def _cover(self, topic: str, partition: int) -> list[Segment]:
        return read_covers(self._root, topic).get(partition, [])

    def _records(self, segment: Segment, first: int, last: int, size: int) -> Iterator[list[LogRecord]]:
        for batch in read_batches(segment, self._columns, size, first, last):
            start = batch.column("offset")[0].as_py()
            inside = batch.slice(max(0, first - start), max(0, last + 1 - max(first, start)))
            if not len(inside):
                continue
            records = _records_of(inside, segment)
            if self._verify:
                _check_leaves(records, inside.column("leaf_hash").to_pylist(), segment)
            yield records

    def digest(self, topic: str, partition: int) -> str:
        """A digest of the archived values, whatever the segments are: d(-1) = 32 zero bytes, d(n) = SHA-256(d(n-1), leaf n)."""
        digest = bytes(32)
        for records in self.batches(topic, partition):
            for record in records:
                digest = hashlib.sha256(digest + leaf_hash(record.value)).digest()
        return digest.hex()


def _records_of(batch: pa.RecordBatch, segment: Segment) -> list[LogRecord]:
    rows = zip(*(batch.column(name).to_pylist() for name in _COLUMNS), strict=True)
    return [LogRecord(segment.topic, segment.partition, *row) for row in rows]


def _check_leaves(records: list[LogRecord], leaves: list[bytes], segment: Segment) -> None:
    for record, leaf in zip(records, leaves, strict=True):
        if leaf_hash(record.value) != leaf:
            raise ShardDamaged(
                f"{segment}: the value at offset {record.offset} is not the one that was archived; restore it from a copy"
            )
