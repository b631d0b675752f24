"""show: one record of the log, decoded, with its exact bytes and the schemas that read them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from memfold.projections.archive_rows import leaf_hash
from memfold.schemas.codec import decode_envelope
from memfold.schemas.errors import KeyDestroyed, UnknownKey, UnknownSchema, Unreadable
from memfold.schemas.opening import Keys, open_record
from memfold.schemas.records import LogRecord
from memfold.schemas.registry import newest, with_fingerprint


def shown(record: LogRecord, keys: Keys) -> dict[str, Any]:
    """{topic, partition, offset, timestamp_ms, envelope, body, closed, schema, envelope_schema, key, raw, leaf_hash}.

    `body` is upcast to the newest version, `schema` is the one that wrote it. Where it cannot be opened `body` is None and
    `closed` says why; the envelope is then only what the record claims. Raises Unreadable for what is no envelope.
    """
    envelope, _, _ = decode_envelope(record.value)
    body, closed = None, None
    try:
        _, opened = open_record(record, keys)
        body = msgspec.to_builtins(opened, builtin_types=())
    except (KeyDestroyed, UnknownKey, Unreadable) as why:
        closed = f"{type(why).__name__}: {why}"
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "envelope": {
            **{name: _json(getattr(envelope, name)) for name in envelope.__struct_fields__},
        },
        "body": body,
        "closed": closed,
        "schema": _schema(envelope.body_schema),
        "envelope_schema": {"name": "envelope", "fingerprint": newest("envelope").fingerprint.hex()},
        "key": record.key.hex(),
        "raw": record.value.hex(),
        "leaf_hash": leaf_hash(record.value).hex(),
    }


def _schema(fingerprint: bytes) -> dict[str, Any] | None:
    try:
        schema = with_fingerprint(fingerprint)
    except UnknownSchema:
        return None
    return {
        "name": schema.name,
        "version": schema.version,
        "fingerprint": fingerprint.hex(),
        "avro": json.loads(schema.text),
    }


def _json(value: object) -> Any:
    return value.hex() if isinstance(value, bytes) else msgspec.to_builtins(value)
