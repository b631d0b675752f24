"""Avro and records: every released schema, whatever its fields hold, read by the verifier as fastavro reads it; damage is named."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from datetime import datetime
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_one
from hypothesis import given
from hypothesis import strategies as st

from memfold.audit.bundle_verifier import released_schemas
from memfold.schemas.registry import Schema, newest, released
from memfold.verifier.avro_reading import value_of
from memfold.verifier.records import length_of_long, schemas_of
from memfold.verifier.refusing import Refused


def written(schema: Schema, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, value)
    return out.getvalue()


def told(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: told(each) for name, each in value.items()}
    if isinstance(value, list):
        return [told(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else value


@pytest.mark.parametrize("schema", released(), ids=lambda schema: f"{schema.name}.v{schema.version}")
def test_every_released_schema_is_read(schema: Schema) -> None:
    for _ in range(30):
        data = written(schema, generate_one(schema.parsed))
        read: Any = fastavro.schemaless_reader(io.BytesIO(data), schema.parsed, None)
        assert value_of(json.loads(schema.text), data, "it") == told(read)


@given(st.binary(max_size=300))
def test_rubbish_is_refused_or_read_to_its_end(data: bytes) -> None:
    with suppress(Refused):
        value_of(json.loads(newest("memories_decided").text), data, "it")


def test_what_is_cut_off_or_goes_on_is_refused() -> None:
    schema = newest("delete_requested")
    data = written(schema, {"memory_id": "m", "actor_id": None})
    parsed = json.loads(schema.text)
    for bad in (data[:-1], data + b"\0", b"\x01" + data[1:]):
        with pytest.raises(Refused):
            value_of(parsed, bad, "it")
    with pytest.raises(Refused, match="does not read the Avro type 'map'"):
        value_of({"type": "map", "values": "int"}, b"\0", "it")


@given(st.integers(0, 2**40))
def test_a_length_takes_as_many_bytes_as_fastavro_writes(number: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    assert length_of_long(number) == len(out.getvalue())


def test_only_released_schemas_count() -> None:
    text = newest("envelope").text.encode()
    assert list(schemas_of({"schemas/envelope.v1.avsc": text}, released_schemas())) == [
        newest("envelope").fingerprint.hex()
    ]
    with pytest.raises(Refused, match="does not know it"):
        schemas_of({"schemas/envelope.v1.avsc": text.replace(b"tenant", b"renter")}, released_schemas())
