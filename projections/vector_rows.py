"""One version of a memory as a row, and rows as Arrow columns. A position is one more row of the same table.

Times are microseconds since 1970 in UTC: what the log's `said_at` holds; `recorded_at` has whole milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from msgspec import Struct
from msgspec.structs import astuple

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Position, read_position
from memfold.schemas.records import RelationChange, Scope

_TIME = pa.timestamp("us", "UTC")
_TYPES: dict[str, pa.DataType] = {
    "row_id": pa.string(),
    "tenant": pa.string(),
    "subject": pa.string(),
    "memory_id": pa.string(),
    "version": pa.int32(),
    "text": pa.string(),
    "user_id": pa.string(),
    "agent_id": pa.string(),
    "run_id": pa.string(),
    "actor_id": pa.string(),
    "role": pa.string(),
    "metadata": pa.string(),
    "relations": pa.string(),
    "created_at": _TIME,
    "updated_at": _TIME,
    "valid_from": _TIME,
    "valid_to": _TIME,
    "said_at": _TIME,
    "evt_offset": pa.int64(),
    "kind": pa.string(),
    "pending": pa.bool_(),
    "said": pa.string(),
    "said_count": pa.int32(),
    "when": pa.string(),
    "added_offset": pa.int64(),
    "ordinal": pa.int32(),
}
COLUMNS = [*_TYPES, "vector"]
decode_relations = msgspec.json.Decoder(list[RelationChange]).decode
"""What stands in `relations`."""


class Row(Struct, gc=False):
    """A version of a memory. `valid_to` None: the current one; `vector` None: it has none, so no search finds it."""

    row_id: str
    tenant: str
    subject: str
    memory_id: str
    version: int
    text: str
    user_id: str | None
    agent_id: str | None
    run_id: str | None
    actor_id: str | None
    role: str | None
    metadata: str
    relations: str
    created_at: int
    updated_at: int
    valid_from: int
    valid_to: int | None
    said_at: int | None
    evt_offset: int
    kind: str
    pending: bool
    said: str
    said_count: int
    when: str
    added_offset: int
    ordinal: int
    vector: bytes | None


def scope_of(row: Row) -> Scope:
    return Scope(row.user_id, row.agent_id, row.run_id, row.actor_id)


def schema(dimensions: int) -> pa.Schema:
    """Columns of a shard; vectors are float16 and half the size of Lance's default, which its search reads as well."""
    return pa.schema([*_TYPES.items(), ("vector", pa.list_(pa.float16(), dimensions))])


def batch_of(rows: Sequence[Row], position: Position, dimensions: int) -> pa.RecordBatch:
    """The rows and the position, as one batch. Raises InvalidInput for a vector that is no vector of this shard."""
    fields = [*zip(*map(astuple, rows), strict=True)] or [()] * len(COLUMNS)
    columns = [
        pa.array([*field, mark], kind)
        for field, mark, kind in zip(fields[:-1], _marks(position), _TYPES.values(), strict=True)
    ]
    return pa.RecordBatch.from_arrays([*columns, _vectors(rows, dimensions)], schema=schema(dimensions))


def _marks(position: Position) -> list[Any]:
    """The position's row without its vector: no memory, the whole of it as JSON in `metadata`, an id that no version can have."""
    whole = msgspec.json.encode(position).decode()
    told = {"row_id": f"position@{position.offset}", "metadata": whole, "evt_offset": position.offset}
    return [told.get(name) for name in _TYPES]


def check_vectors(rows: Sequence[Row], dimensions: int) -> None:
    """Raises InvalidInput for a vector that is no vector of this shard."""
    _joined(rows, dimensions)


def _vectors(rows: Sequence[Row], dimensions: int) -> pa.Array:
    """The vectors of the rows, and none for the position."""
    data = _joined(rows, dimensions)
    values = pa.Array.from_buffers(pa.float16(), len(data) // 2, [None, pa.py_buffer(data)])
    missing = pa.array([*(row.vector is None for row in rows), True])
    return pa.FixedSizeListArray.from_arrays(values, type=pa.list_(pa.float16(), dimensions), mask=missing)


def _joined(rows: Sequence[Row], dimensions: int) -> bytes:
    """The vectors one after the other, zeros for none, and zeros at the end. Raises InvalidInput."""
    width, nothing = 2 * dimensions, bytes(2 * dimensions)
    for row in rows:
        if row.vector is not None and len(row.vector) != width:
            raise InvalidInput(
                f"the event at offset {row.evt_offset} has a vector of {len(row.vector)} bytes for memory {row.memory_id}; "
                f"this shard holds {dimensions} float16 values. Another embedding model needs a new generation"
            )
    data = b"".join([*(row.vector or nothing for row in rows), nothing])
    finite = np.isfinite(np.frombuffer(data, "<f2")).reshape(-1, dimensions).all(axis=1)
    if not finite.all():
        row = rows[int(np.argmin(finite))]
        raise InvalidInput(
            f"the event at offset {row.evt_offset} has NaN or infinity in the vector of memory {row.memory_id}"
        )
    return data


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of a table with all columns; none of them may be a position."""
    columns: list[Sequence[Any]] = []
    for name, kind in _TYPES.items():
        column = table[name]
        columns.append((column.cast(pa.int64()) if kind == _TIME else column).to_pylist())
    columns.append([vector for chunk in table["vector"].chunks for vector in vectors_of(chunk)])
    return [Row(*values) for values in zip(*columns, strict=True)]


def vectors_of(chunk: Any) -> list[bytes | None]:
    """The float16 bytes of each vector of one Arrow array."""
    width, values = 2 * chunk.type.list_size, chunk.values
    data = memoryview(values.buffers()[1] or b"")
    start = 2 * values.offset + width * chunk.offset
    valid = chunk.is_valid().to_pylist()
    return [
        bytes(data[start + width * i : start + width * (i + 1)]) if valid[i] else None
        for i in range(len(chunk))
    ]


def position_of(positions: pa.Table) -> Position:
    """The one that counts, of at least one."""
    newest = int(np.argmax(positions["evt_offset"].to_numpy()))
    return read_position(positions["metadata"][newest].as_py())
