"""From a record of the log to an opened event, or to the reason why it cannot be one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from memfold.schemas.codec import decode_envelope, open_body
from memfold.schemas.errors import Unreadable
from memfold.schemas.partitions import key_of
from memfold.schemas.records import Body, Envelope, Event, LogRecord, MemoriesDecided

Decoded = tuple[Envelope, bytes, bytes]
"""What `decode_envelope` gives: envelope, associated data, encrypted body."""


class Keys(Protocol):
    def key(self, key_id: str) -> bytes: ...


def open_record(record: LogRecord, keys: Keys) -> tuple[Envelope, Body]:
    """The envelope and body of a record. Raises Unreadable (forged, damaged, misplaced), UnknownKey, KeyDestroyed."""
    return open_decoded(record, decode_envelope(record.value), keys)


def open_decoded(record: LogRecord, decoded: Decoded, keys: Keys) -> tuple[Envelope, Body]:
    """`open_record` where the envelope was decoded already. Raises as it does."""
    envelope, aad, sealed = decoded
    body = open_body(envelope, aad, sealed, keys.key(envelope.key_id))
    if record.key != key_of(envelope.tenant, envelope.subject):
        raise Unreadable(f"the record's key is not that of its subject {envelope.subject}")
    return envelope, body


def open_event(record: LogRecord, keys: Keys) -> Event:
    """An event of memfold.events. Raises as `open_record`, and Unreadable for a record of another type."""
    envelope, body = open_record(record, keys)
    if not isinstance(body, MemoriesDecided):
        raise Unreadable(f"a {envelope.type} record does not belong on {record.topic}")
    recorded_at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return Event(record.partition, record.offset, recorded_at, envelope, body)
