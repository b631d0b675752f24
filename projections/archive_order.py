"""Sorted segments: rows by subject, memory and time, for questions about one of them, and read back in log order.

Row order is the file's own business: each row keeps its offset, which is its leaf's index, so proofs and digests are of the log.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_segments import Segment

LIMIT = 64 * 1024 * 1024
"""Bytes of records in a sorted segment, at most (or one record): a reader in log order holds as much."""
ORDER = b"memfold.order"
_BY = b"subject, memory, time"


def is_sorted(footer: pq.FileMetaData) -> bool:
    return (footer.metadata or {}).get(ORDER) == _BY


def sorted_rows(table: pa.Table, told: dict[bytes, bytes]) -> pa.Table:
    """The rows by subject, first memory id, broker's time and offset; marked as such, with what is `told` beside."""
    lists = table["memory_ids"].combine_chunks()
    none = pc.fill_null(pc.list_value_length(lists), 0).to_numpy() == 0
    memory = lists.values.take(pa.array(lists.offsets.to_numpy()[:-1], mask=none))
    keys = pa.table(
        {
            "subject": table["subject"],
            "memory": memory,
            "time": table["timestamp_ms"],
            "offset": table["offset"],
        }
    )
    order = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names])
    return table.combine_chunks().take(order).replace_schema_metadata({ORDER: _BY, **told})


def in_log_order(
    segment: Segment, file: pq.ParquetFile, columns: Sequence[str], size: int, first: int, last: int | None
) -> Iterator[pa.RecordBatch]:
    """The rows of a sorted segment from offset `first` to `last` in log order. Raises ShardDamaged, pa.ArrowException, OSError."""
    offsets = file.read(["offset"])["offset"].to_numpy()
    order = np.argsort(offsets)
    if not np.array_equal(offsets[order], np.arange(segment.first, segment.last + 1)):
        raise ShardDamaged(f"{segment} does not hold each of the offsets of its name once")
    wanted = slice(max(0, first - segment.first), None if last is None else max(0, last + 1 - segment.first))
    places = order[wanted]
    starts = np.cumsum(
        [0, *(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))]
    )
    groups = np.unique(np.searchsorted(starts, places, side="right") - 1)
    table = file.read_row_groups(groups.tolist(), columns=list(columns)).combine_chunks()
    # Where the rows of each group that was read begin in what was read.
    lengths = (starts[1:] - starts[:-1])[groups]
    shift = starts[groups] - np.cumsum([0, *lengths])[: len(groups)]
    group_of = np.searchsorted(starts[groups], places, side="right") - 1
    for start in range(0, len(places), size):
        part = slice(start, start + size)
        rows = table.take(pa.array(places[part] - shift[group_of[part]]))
        # As one batch, without the marks of the file, which are not the rows'.
        yield rows.replace_schema_metadata(None).combine_chunks().to_batches()[0]
