"""What a row of the archive is: one record of the log, its exact bytes, and its clear envelope for queries.

The columns are a contract with every reader of the files: names and types are never changed, only added to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from memfold.schemas.codec import decode_envelope
from memfold.schemas.columns import Fields, Items, Slices
from memfold.schemas.envelope_columns import TEXT, envelopes_of, in_hex, numbers, slices
from memfold.schemas.errors import Unreadable
from memfold.schemas.records import Envelope, LogRecord

_RECORD = [
    pa.field("topic", pa.string(), nullable=False),
    pa.field("partition", pa.int32(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("timestamp_ms", pa.int64(), nullable=False),
    pa.field("key", pa.binary(), nullable=False),
    pa.field("value", pa.binary(), nullable=False),
]
_ENVELOPE = [
    pa.field("record_id", pa.string()),
    pa.field("type", pa.string()),
    pa.field("tenant", pa.string()),
    pa.field("subject", pa.string()),
    pa.field("command_id", pa.string()),
    pa.field("command_offset", pa.int64()),
    pa.field("occurred_at", pa.timestamp("us", tz="UTC")),
    pa.field("memory_ids", pa.list_(pa.string())),
    pa.field("key_id", pa.string()),
    pa.field("body_schema", pa.string()),
]
SCHEMA = pa.schema([*_RECORD, *_ENVELOPE, pa.field("leaf_hash", pa.binary(32), nullable=False)])
"""`timestamp_ms` is the broker's. The envelope's columns are null where the bytes are no envelope; nothing in them is
authenticated until the value is opened. `body_schema` is the fingerprint in hex, `leaf_hash` see `leaf_hash`."""
_WORTH_COLUMNS = 100
"""Records; below that, columns cost more than they save."""
REPEATED = ["topic", "type", "tenant", "subject", "key", "key_id", "body_schema"]
"""Columns with few distinct values: the only ones worth a dictionary."""


def leaf_hash(value: bytes) -> bytes:
    """The Merkle leaf of a record: SHA-256 of a zero byte and the value (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\0" + value).digest()


def table_of(records: Sequence[LogRecord], envelopes: Sequence[Envelope | None] | None = None) -> pa.Table:
    """The rows of records, in their order, as an Arrow table of SCHEMA. `envelopes` where they were decoded already."""
    columns: list[Iterable[object]] = [
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [record.timestamp_ms for record in records],
        [record.key for record in records],
        [record.value for record in records],
    ]
    arrays = _arrays(columns, _RECORD)
    if envelopes is not None:
        arrays += _envelope_arrays(envelopes)
    elif len(records) < _WORTH_COLUMNS:
        arrays += _envelope_arrays([_envelope(record.value) for record in records])
    else:
        arrays += _in_columns(records, arrays[-1])
    arrays.append(pa.array([leaf_hash(record.value) for record in records], SCHEMA.field("leaf_hash").type))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _arrays(columns: Iterable[Iterable[object]], fields: Sequence[pa.Field]) -> list[pa.Array]:
    return [pa.array(column, type=field.type) for column, field in zip(columns, fields, strict=True)]


def _envelope(value: bytes) -> Envelope | None:
    try:
        return decode_envelope(value)[0]
    except Unreadable:
        return None


def _envelope_arrays(envelopes: Sequence[Envelope | None]) -> list[pa.Array]:
    columns: list[Iterable[object]] = [
        [envelope and getattr(envelope, field.name) for envelope in envelopes] for field in _ENVELOPE[:-1]
    ]
    return _arrays([*columns, [envelope and envelope.body_schema.hex() for envelope in envelopes]], _ENVELOPE)


def _in_columns(records: Sequence[LogRecord], values: pa.Array) -> list[pa.Array]:
    """The same without an object for each; what is not decoded in columns is decoded alone and put in its place."""
    found = envelopes_of(values)
    arrays = [_column(found.fields, field) for field in _ENVELOPE]
    rest = np.flatnonzero(~found.good)
    if not len(rest):
        return arrays
    alone = _envelope_arrays([_envelope(records[number].value) for number in rest.tolist()])
    order = np.arange(len(records))
    order[rest] = len(records) + np.arange(len(rest))
    taken = pa.array(order)
    return [
        pa.concat_arrays([together, one]).take(taken) for together, one in zip(arrays, alone, strict=True)
    ]


def _column(fields: Fields, field: pa.Field) -> pa.Array:
    column = fields[field.name]
    if field.name == "body_schema":
        return in_hex(slices(fields, field.name)).cast(TEXT).cast(field.type)
    if isinstance(column, Slices):
        return column.array(TEXT).cast(field.type)
    if isinstance(column, Items):
        assert isinstance(column.items, Slices)
        count = len(slices(fields, "tenant").starts)
        ends = np.cumsum(np.bincount(column.rows, minlength=count))
        offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
        return pa.ListArray.from_arrays(offsets, column.items.array(TEXT).cast(pa.string()))
    return pa.array(numbers(fields, field.name)).cast(field.type)
