"""What a row of the archive is: one record of the log, its exact bytes, and its clear envelope for queries.

The columns are a contract with every reader of the files: names and types are never changed, only added to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import pyarrow as pa  # type: ignore[import-untyped]

from memfold.schemas.codec import decode_envelope
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
REPEATED = ["topic", "type", "tenant", "subject", "key", "key_id", "body_schema"]
"""Columns with few distinct values: the only ones worth a dictionary."""


def leaf_hash(value: bytes) -> bytes:
    """The Merkle leaf of a record: SHA-256 of a zero byte and the value (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\0" + value).digest()


def table_of(records: Sequence[LogRecord], envelopes: Sequence[Envelope | None] | None = None) -> pa.Table:
    """The rows of records, in their order, as an Arrow table of SCHEMA. `envelopes` where they were decoded already."""
    if envelopes is None:
        envelopes = [_envelope(record.value) for record in records]
    columns: list[Iterable[object]] = [
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [record.timestamp_ms for record in records],
        [record.key for record in records],
        [record.value for record in records],
        *_envelope_columns(envelopes),
        [leaf_hash(record.value) for record in records],
    ]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _envelope(value: bytes) -> Envelope | None:
    try:
        return decode_envelope(value)[0]
    except Unreadable:
        return None


def _envelope_columns(envelopes: Sequence[Envelope | None]) -> list[Iterable[object]]:
    columns: list[Iterable[object]] = [
        [envelope and getattr(envelope, field.name) for envelope in envelopes] for field in _ENVELOPE[:-1]
    ]
    return [*columns, [envelope and envelope.body_schema.hex() for envelope in envelopes]]
