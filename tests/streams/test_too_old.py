"""A genuine record of a schema that came later stops its reader; a forged one that claims such a schema stops nobody."""

from __future__ import annotations

import pytest

from memfold.schemas import codec
from memfold.schemas.codec import encode
from memfold.schemas.errors import ReaderTooOld, UnknownSchema, Unreadable
from memfold.schemas.opening import open_record
from memfold.schemas.partitions import EVENTS, key_of
from memfold.schemas.records import LogRecord, MemoriesDecided
from memfold.schemas.registry import Schema, newest, with_fingerprint
from memfold.streams.projecting import open_batch
from tests.schemas.golden import KEY, envelope_of


class OneKey:
    def key(self, key_id: str) -> bytes:
        return KEY


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memfold before the newest `memories_decided`."""
    later = newest("memories_decided").fingerprint

    def known(fingerprint: bytes) -> Schema:
        if fingerprint == later:
            raise UnknownSchema(f"no released schema has the fingerprint {fingerprint.hex()}")
        return with_fingerprint(fingerprint)

    monkeypatch.setattr(codec, "with_fingerprint", known)


def record() -> LogRecord:
    body = MemoriesDecided("decided")
    envelope = envelope_of(body)
    return LogRecord(EVENTS, 0, 0, 0, key_of(envelope.tenant, envelope.subject), encode(envelope, body, KEY))


@pytest.mark.usefixtures("older")
def test_a_newer_event_is_not_passed_over() -> None:
    with pytest.raises(ReaderTooOld, match=r"newer memfold: a memories_decided of schema .* Upgrade memfold"):
        open_batch([record()], OneKey())


@pytest.mark.usefixtures("older")
def test_without_the_key_nobody_stops_a_reader_by_a_schema_that_there_is_not() -> None:
    genuine = record()
    forged = LogRecord(EVENTS, 0, 0, 0, genuine.key, genuine.value[:-1] + bytes([genuine.value[-1] ^ 1]))
    batch = open_batch([forged], OneKey())
    assert [reason for _, reason in batch.unreadable] == [
        "the body does not authenticate under its key and envelope"
    ]


@pytest.mark.usefixtures("older")
def test_an_audit_counts_it_among_what_it_cannot_open() -> None:
    with pytest.raises(Unreadable):
        open_record(record(), OneKey())
