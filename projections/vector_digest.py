"""The digest of a vector shard: SHA-256 over its version rows by row_id (compared as UTF-8 bytes), column by column.

    "memfold vector 3\\n", u64 dimensions, u64 rows, then for each column of `COLUMNS` but `evt_offset` and `added_offset`:
    its name and "\\n"; one byte a row, 1 for a value and 0 for null; then the values, of null ones zeros:
      text       u32 bytes of each row, then all rows' UTF-8 one after the other
      numbers    i64 each; times as microseconds since 1970, booleans as 0 and 1
      vector     float16 each

Everything is little-endian. Neither the batches, nor the files, nor the position, nor the offsets of the events are in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from memfold.projections.vector_columns import Columns
from memfold.projections.vector_rows import COLUMNS, vectors_of

_HEAVY = ["vector"]
_LIGHT = [name for name in COLUMNS if name not in ("vector", "evt_offset", "added_offset")]


def digest(table: Columns) -> str:
    """Hexadecimal. Reads the whole shard into memory, the vectors apart from the rest."""
    light = table.columns(_LIGHT)
    sha = sha256(b"memfold vector 3\n" + _u64(table.dimensions) + _u64(light.num_rows))
    for columns in (light, table.columns(_HEAVY)):
        for name in columns.column_names:
            sha.update(name.encode() + b"\n")
            for part in _parts(columns[name].chunks):
                sha.update(part)
    return sha.hexdigest()


def _parts(chunks: list[Any]) -> Iterator[Any]:
    """The bytes of one column, in pieces."""
    for chunk in chunks:
        yield chunk.is_valid().cast(pa.uint8()).to_numpy()
    if chunks and pa.types.is_string(chunks[0].type):
        filled = [(chunk, _offsets(chunk)) for chunk in (each.fill_null("") for each in chunks)]
        for _, offsets in filled:
            yield np.diff(offsets).astype(np.uint32)
        for chunk, offsets in filled:
            yield memoryview(chunk.buffers()[2] or b"")[offsets[0] : offsets[-1]]
        return
    for chunk in chunks:
        if pa.types.is_fixed_size_list(chunk.type):
            yield b"".join(vector or bytes(2 * chunk.type.list_size) for vector in vectors_of(chunk))
        else:
            yield chunk.cast(pa.int64()).fill_null(0).to_numpy()


def _offsets(column: Any) -> Any:
    """Where each text begins, and where the last one ends."""
    return np.frombuffer(column.buffers()[1], np.int32, len(column) + 1, 4 * column.offset)


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")
