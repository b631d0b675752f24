"""Merging: consecutive segments written anew as few sorted ones, cut by day and by size, under names that no reader sees yet.

Damage is found here and never written on: every page's checksum, every offset and every leaf hash is checked before a row is taken over.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_errors import ArchiveNotWritten
from memfold.projections.archive_files import read_batches, write_file
from memfold.projections.archive_order import sorted_rows
from memfold.projections.archive_rows import SCHEMA, leaf_hash
from memfold.projections.archive_segments import Segment
from memfold.projections.archive_standing import BYTES, DAY, WHICH_DAY

_READ = 5_000
_ROW_BYTES = 256
"""A row's clear columns, about."""
_IDS = ("record_id", "command_id", "memory_ids.list.element")

Written = list[tuple[Segment, Path]]


def merged_path(segment: Segment) -> Path:
    """The name of a merged segment before it counts."""
    return segment.directory / f".{segment.path.name}.merged"


def write_merged(run: Sequence[Segment], limit: int) -> Written:
    """Write the rows of consecutive segments as sorted ones of up to `limit` bytes, each of one day; durable, in offset order.

    Raises ShardDamaged where a row is not as it was archived, and ArchiveNotWritten. Either way nothing is left of what was written.
    """
    written: Written = []
    try:
        for day, size, rows in _cut(_checked(run), limit):
            first, last = rows["offset"][0].as_py(), rows["offset"][-1].as_py()
            segment = Segment(run[0].directory, run[0].topic, run[0].partition, first, last)
            written.append((segment, merged_path(segment)))
            told = {WHICH_DAY: b"%d" % day, BYTES: b"%d" % size}
            blooms = {name: {"ndv": len(rows), "fpp": 0.01} for name in _IDS}
            write_file(merged_path(segment), sorted_rows(rows, told), bloom_filter_options=blooms)
    except FileNotFoundError as gone:
        remove(written)
        raise ShardDamaged(f"a segment that upkeep reads has been removed: {gone.filename}") from gone
    except ShardDamaged:
        remove(written)
        raise
    except OSError as failure:
        remove(written)
        raise ArchiveNotWritten(
            f"{run[0]} to offset {run[-1].last} cannot be merged: {failure}; the segments stay as they are"
        ) from failure
    return written


def remove(written: Written) -> None:
    for _, path in written:
        path.unlink(missing_ok=True)


def _checked(run: Sequence[Segment]) -> Iterator[pa.RecordBatch]:
    for segment in run:
        for batch in read_batches(segment, SCHEMA.names, _READ):
            values, leaves = batch["value"].to_pylist(), batch["leaf_hash"].to_pylist()
            for place, (value, leaf) in enumerate(zip(values, leaves, strict=True)):
                if leaf_hash(value) != leaf:
                    raise ShardDamaged(
                        f"{segment}: the value at offset {batch['offset'][place]} is not the one that was archived; nothing is "
                        "merged over it. Restore the file from a copy; `memfold audit verify` says what else is wrong"
                    )
            yield batch


def _cut(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[tuple[int, int, pa.Table]]:
    """(day, bytes, rows in log order) of each file: as many rows of one day as fit, one row at least."""
    held: list[pa.RecordBatch] = []
    day, size = -1, 0
    for batch in batches:
        # A clock that was set back makes no new day.
        days = np.maximum.accumulate(np.maximum(batch["timestamp_ms"].to_numpy() // DAY, day))
        lengths = pc.add(pc.binary_length(batch["key"]), pc.binary_length(batch["value"])).to_numpy()
        sizes = np.append(0, np.cumsum(lengths.astype(np.int64) + _ROW_BYTES))
        start = 0
        while start < len(batch):
            day = int(days[start]) if not held else day
            fitting = int(np.searchsorted(sizes, sizes[start] + limit - size, side="right")) - 1
            end = min(fitting, int(np.searchsorted(days, day, side="right")))
            if end <= start and held:
                yield day, size, pa.Table.from_batches(held, schema=SCHEMA)
                held, size = [], 0
                continue
            end = max(end, start + 1)
            held.append(batch.slice(start, end - start))
            size += int(sizes[end] - sizes[start])
            start = end
    if held:
        yield day, size, pa.Table.from_batches(held, schema=SCHEMA)
