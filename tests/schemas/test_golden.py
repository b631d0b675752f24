"""Golden records: bytes once written are read for ever. Add a file for each new version; never change one."""

from __future__ import annotations

import json
from pathlib import Path

import avro.compatibility
import avro.schema
import pytest

from memfold.schemas.codec import decode, encode, name_of
from memfold.schemas.registry import newest, released
from tests.schemas.golden import BODIES, KEY, envelope_of

FOLDER = Path(__file__).parent / "golden"
FINGERPRINTS: dict[str, str] = json.loads((FOLDER / "fingerprints.json").read_text())


@pytest.mark.parametrize("name", BODIES)
def test_golden_bytes_read_as_they_were_meant(name: str) -> None:
    value = bytes.fromhex((FOLDER / f"{name}.hex").read_text())
    envelope, body = decode(value, lambda _: KEY)
    assert body == BODIES[name]
    assert envelope.command_offset == 7
    assert envelope.memory_ids == [envelope_of(body).memory_ids[0]]


WRITTEN_TODAY = [name for name in BODIES if name == f"{name[:-3]}.v{newest(name[:-3]).version}"]
"""Earlier versions are read, never written again."""


@pytest.mark.parametrize("name", WRITTEN_TODAY)
def test_the_same_record_has_the_same_clear_bytes_today(name: str) -> None:
    golden = bytes.fromhex((FOLDER / f"{name}.hex").read_text())
    today = encode(envelope_of(BODIES[name]), BODIES[name], KEY)
    nonce_at = golden.index(newest(name_of(BODIES[name])).fingerprint) + 8
    assert today[:nonce_at] == golden[:nonce_at]
    assert len(today) == len(golden)


def test_no_released_schema_was_changed_and_none_is_missing() -> None:
    assert {f"{s.name}.v{s.version}": s.fingerprint.hex() for s in released()} == FINGERPRINTS


def test_every_schema_reads_what_all_its_earlier_versions_wrote() -> None:
    checker = avro.compatibility.ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    for later in released():
        for earlier in (schema for schema in released() if schema.name == later.name):
            reader, writer = avro.schema.parse(later.text), avro.schema.parse(earlier.text)
            both = [(reader, writer), (writer, reader)] if later.name == "envelope" else [(reader, writer)]
            for one, other in both:
                result = checker.get_compatibility(one, other)
                assert result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible, (
                    result.messages
                )
