"""Which segments upkeep merges next: the small and unsorted ones of days that are over, and of today as many as make a full file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_order import LIMIT, is_sorted
from memfold.projections.archive_rows import SCHEMA
from memfold.projections.archive_segments import Segment

DAY = 86_400_000
"""Milliseconds. Days are UTC's."""
BYTES, WHICH_DAY = b"memfold.bytes", b"memfold.day"
_TIMES = SCHEMA.get_field_index("timestamp_ms")
_AT_ONCE = 2
"""So many full files are written in one go: what a crash repeats, what closing waits for, and what the disk must have room for."""


def today() -> int:
    """The day that is not over, counted from 1970 in UTC."""
    return int(time.time() * 1000) // DAY


@dataclass(frozen=True, slots=True)
class Standing:
    """A segment as upkeep sees it. `day` counts from 1970; of an unsorted one it is the newest day in it."""

    segment: Segment
    sorted: bool
    day: int
    size: int


def standing(segment: Segment) -> Standing:
    """Out of the file's footer. Raises ShardDamaged, FileNotFoundError."""
    try:
        footer = pq.read_metadata(segment.path)
        if is_sorted(footer):
            told = footer.metadata
            return Standing(segment, True, int(told[WHICH_DAY]), int(told[BYTES]))
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        newest = max(group.column(_TIMES).statistics.max for group in groups)
        return Standing(segment, False, newest // DAY, sum(group.total_byte_size for group in groups))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError, AttributeError) as broken:
        raise ShardDamaged(
            f"the footer of {segment} cannot be read: {broken}. Restore it from a copy"
        ) from broken


def next_run(
    standings: Sequence[Standing], today: int, limit: int = LIMIT, *, all_days: bool = False
) -> list[Segment]:
    """Consecutive segments to merge now, [] for none. `standings` in offset order; `today` counts from 1970.

    Of days that are not over, nothing before it makes a full file; `all_days` takes them as they are.
    """
    over = next((n for n, one in enumerate(standings) if one.day >= today), len(standings))
    # The newest is left to the appends, which gather small ones themselves.
    running = standings[over:-1]
    loose = sum(one.size for one in running if not one.sorted or one.size < limit // 2)
    ready = list(standings if all_days else standings[:over] if loose < limit else standings[:-1])
    marked = [not one.sorted for one in ready]
    for number, (left, right) in enumerate(pairwise(ready)):
        if left.sorted and right.sorted and left.day == right.day and left.size + right.size <= limit:
            marked[number] = marked[number + 1] = True
    run: list[Segment] = []
    size = 0
    for one, wanted in zip(ready, marked, strict=True):
        if run and (not wanted or size >= _AT_ONCE * limit):
            break
        if wanted:
            run.append(one.segment)
            size += one.size
    return run
