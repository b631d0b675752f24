"""The rows of the view `quarantine`: what workers put aside, each record once, without its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from memfold.audit.bounds import Bounds
from memfold.projections.archive_rows import leaf_hash
from memfold.schemas.codec import decode_envelope
from memfold.schemas.errors import Unreadable
from memfold.schemas.records import Envelope, LogRecord


def quarantine_rows(records: Iterable[LogRecord], bounds: Bounds) -> list[dict[str, Any]]:
    """The records of memfold.quarantine inside the bounds that claim the tenant, or that claim none.

    Bytes that are no envelope may be anybody's, so what is shown of a record is never its bytes.
    """
    rows: dict[bytes, dict[str, Any]] = {}
    for record in records:
        line, _, value = record.value.partition(b"\n")
        try:
            told = json.loads(line)
            row = _row(record, told, value)
        except (ValueError, KeyError, TypeError):
            # Whoever wrote this, it was not memfold; that it lies there is what is to be said of it.
            told = {"role": "", "reason": "this record of the quarantine is not one that memfold wrote"}
            told |= {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            told["timestamp_ms"] = record.timestamp_ms
            row = _row(record, told, record.value)
        envelope = _envelope(value)
        inside = (bounds.since or 0) <= record.timestamp_ms and (
            bounds.until is None or record.timestamp_ms < bounds.until
        )
        here = bounds.partition in (None, row["partition"])
        if inside and here and (envelope is None or envelope.tenant == bounds.tenant):
            rows.setdefault(record.key, row)
    return list(rows.values())


def _row(record: LogRecord, told: dict[str, Any], value: bytes) -> dict[str, Any]:
    envelope = _envelope(value)
    return {
        "topic": told["topic"],
        "partition": told["partition"],
        "offset": told["offset"],
        "time": _moment(told["timestamp_ms"]),
        "quarantined_at": _moment(record.timestamp_ms),
        "role": told["role"],
        "reason": told["reason"],
        "record_id": envelope and envelope.record_id,
        "subject": envelope and envelope.subject,
        "bytes": len(value),
        "leaf_hash": leaf_hash(value).hex(),
    }


def _envelope(value: bytes) -> Envelope | None:
    try:
        return decode_envelope(value)[0]
    except Unreadable:
        return None


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC).replace(tzinfo=None)
