"""The clear envelopes of many records at once, in columns.

What is not decoded here may still be an envelope: `decode_envelope` has the last word.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from numpy.lib.stride_tricks import sliding_window_view

from memfold.schemas.codec import MARKER
from memfold.schemas.columns import Bytes, Fields, Flags, Ints, Slices, decode_columns
from memfold.schemas.registry import newest

TEXT, BINARY = pa.large_string(), pa.large_binary()


@dataclass(frozen=True, slots=True)
class Envelopes:
    """`fields` hold something where `good`; `starts` is where each record begins in `data`."""

    data: Bytes
    starts: Ints
    fields: Fields
    good: Flags


def envelopes_of(values: pa.Array) -> Envelopes:
    """Of records with these values, a binary column without nulls."""
    values = values.cast(BINARY)
    _, offsets, buffer = values.buffers()
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    data, starts, ends = np.frombuffer(buffer or b"", np.uint8), ends[:-1], ends[1:]
    schema = newest("envelope")
    prefix = np.frombuffer(MARKER + schema.fingerprint, np.uint8)
    whole = ends - starts > len(prefix)
    begin = np.where(whole, starts, 0)
    if len(data) > len(prefix):
        whole &= (sliding_window_view(data, len(prefix))[begin] == prefix).all(axis=1)
    fields, good = decode_columns(schema.parsed, data, begin + len(prefix), ends)
    return Envelopes(data, starts, fields, good & whole)


def slices(fields: Fields, name: str) -> Slices:
    column = fields[name]
    assert isinstance(column, Slices)
    return column


def numbers(fields: Fields, name: str) -> Ints:
    column = fields[name]
    assert isinstance(column, np.ndarray)
    return column.astype(np.int64, copy=False)


def in_hex(fingerprints: Slices) -> pa.Array:
    """Eight bytes each, as text in a binary column."""
    digits = pa.array([f"{byte:02x}".encode() for byte in range(256)], BINARY)
    at = np.minimum(fingerprints.starts[:, None] + np.arange(8), len(fingerprints.data) - 1)
    return pc.binary_join_element_wise(
        *(digits.take(pa.array(column)) for column in fingerprints.data[at].T), pa.scalar(b"", BINARY)
    )
