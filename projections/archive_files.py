"""One segment file: written whole or not at all, and read with everything checked that the file itself can tell.

Every page carries a checksum, so a flipped bit in data is found on reading; the offsets inside must be those of the name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_errors import ArchiveNotWritten
from memfold.projections.archive_order import in_log_order, is_sorted
from memfold.projections.archive_rows import REPEATED, SCHEMA
from memfold.projections.archive_segments import Segment
from memfold.projections.durable import sync_directory

_GROUP_ROWS = 16_384
_PAGE_BYTES = 64 * 1024
"""Small pages: a query that wants one value decompresses 64 KB, and a flipped bit is located to that much."""


def write_segment(segment: Segment, table: pa.Table) -> None:
    """Write a table of SCHEMA under a segment's name: temporary name, fsync, rename, fsync of the directory.

    Raises ArchiveNotWritten. Then a temporary file may be left, or the whole one may stand there already: list the directory again.
    """
    temporary = temporary_path(segment)
    try:
        write_file(temporary, table)
        temporary.rename(segment.path)
        sync_directory(segment.directory)
    except OSError as failure:
        raise ArchiveNotWritten(
            f"{segment} cannot be written: {failure}; nothing of it counts as archived, and appending it again is safe"
        ) from failure


def write_file(path: Path, table: pa.Table, **options: Any) -> None:
    """A table as a Parquet file, synced. `options` are those of pyarrow, beside ours. Raises OSError."""
    with path.open("wb") as file:
        pq.write_table(
            table,
            file,
            compression="zstd",
            use_dictionary=REPEATED,  # pyright: ignore[reportArgumentType]
            row_group_size=_GROUP_ROWS,
            data_page_size=_PAGE_BYTES,
            write_page_checksum=True,
            **options,
        )
        file.flush()
        os.fsync(file.fileno())


def temporary_path(segment: Segment) -> Path:
    """The name of a segment while it is written; no reader takes it for one."""
    return segment.directory / f".{segment.path.name}.tmp"


def read_segment(segment: Segment) -> pa.Table:
    """A whole segment as a table of SCHEMA. Raises ShardDamaged, and FileNotFoundError when it is not there."""
    batches = list(read_batches(segment, SCHEMA.names, segment.rows))
    return pa.Table.from_batches(batches, schema=SCHEMA)


def read_batches(
    segment: Segment, columns: Sequence[str], size: int, first: int = 0, last: int | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a segment in log order, in batches of up to `size`. `columns` must hold `offset`. Raises as `read_segment`.

    Of a sorted segment those from offset `first` to `last` only, out of the row groups that hold them, which are in memory
    together: no more than archive_order.LIMIT. Of one in log order all.
    """
    expected = segment.first
    try:
        with pq.ParquetFile(segment.path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise ShardDamaged(
                    f"{segment} has other columns than this memfold writes; a newer one wrote it"
                )
            if is_sorted(file.metadata):
                yield from in_log_order(segment, file, columns, size, first, last)
                return
            for batch in file.iter_batches(size, columns=list(columns)):
                offsets = batch.column("offset").to_numpy()
                if not np.array_equal(offsets, np.arange(expected, expected + len(offsets))):
                    raise ShardDamaged(f"{segment} does not hold the offsets from {expected} on in order")
                expected += len(offsets)
                yield batch
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as broken:
        raise ShardDamaged(
            f"{segment} cannot be read at or after offset {expected}: {broken}. Restore it from a copy"
        ) from broken
    if expected != segment.last + 1:
        raise ShardDamaged(f"{segment} ends after offset {expected - 1}")
