"""Reading whole columns of a shard's table: what a digest is made of, and what two shards are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import lancedb
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.projections.vector_rows import vectors_of


class Columns(Protocol):
    """A shard whose columns can be read."""

    @property
    def dimensions(self) -> int: ...

    def columns(self, names: list[str]) -> pa.Table:
        """These columns of all rows but the position, by row_id."""
        ...


def sorted_columns(table: lancedb.table.Table, names: Sequence[str]) -> pa.Table:
    """These columns of all rows but the position, by row_id."""
    asked = list(dict.fromkeys(["row_id", "memory_id", *names]))
    found = table.search().select(asked).to_arrow()
    found = found.filter(pc.field("memory_id").is_valid())
    return found.sort_by("row_id").select(list(names))


def values_of(column: Any) -> list[Any]:
    """The values of one column as Python has them: times as microseconds since 1970, vectors as their float16 bytes."""
    if pa.types.is_fixed_size_list(column.type):
        return [vector for chunk in column.chunks for vector in vectors_of(chunk)]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values
