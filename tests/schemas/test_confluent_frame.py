"""Confluent's framing around a record: opened as if it were not there, by memfold and by the verifier."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.schemas.codec import decode, encode
from memfold.schemas.confluent_frame import framed, unframed
from memfold.schemas.envelope_columns import BINARY, envelopes_of
from memfold.schemas.errors import Unreadable
from memfold.schemas.records import AddRequested, Item, Message, Scope
from memfold.schemas.registry import released
from memfold.verifier.records import body_of
from memfold.verifier.records import envelope_of as verified_envelope
from memfold.verifier.refusing import Refused
from tests.schemas.golden import KEY, envelope_of

PREFIX = 10
SCHEMAS = {schema.fingerprint.hex(): json.loads(schema.text) for schema in released()}


def key_of(_key_id: str) -> bytes:
    return KEY


def added(text: str) -> bytes:
    body = AddRequested(Scope("alex"), [Item([Message("user", text)])])
    return encode(envelope_of(body), body, KEY)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(0, 2**31 - 1))
def test_a_framed_record_is_what_it_was_whatever_its_id(text: str, schema_id: int) -> None:
    plain = added(text)
    value = framed(schema_id, plain[PREFIX:])
    assert unframed(value) == (schema_id, plain[PREFIX:])
    assert decode(value, key_of) == decode(plain, key_of)
    assert verified_envelope(value, SCHEMAS, "it") == verified_envelope(plain, SCHEMAS, "it")
    envelope = verified_envelope(value, SCHEMAS, "it")
    assert body_of(value, envelope, KEY, SCHEMAS, "it")["items"][0]["messages"][0]["content"] == text


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_framed_record_that_was_changed_is_refused(place: int, change: int) -> None:
    value = bytearray(framed(7, added("I met Sarah")[PREFIX:]))
    place = 5 + place % (len(value) - 5)
    value[place] ^= change
    with pytest.raises(Unreadable):
        decode(bytes(value), key_of)


@given(st.binary(max_size=80))
def test_rubbish_after_a_zero_is_refused(rest: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(b"\x00" + rest, key_of)
    with pytest.raises(Refused):
        verified_envelope(b"\x00" + rest, SCHEMAS, "it")


def test_columns_leave_a_framed_record_to_who_reads_one_at_a_time() -> None:
    import pyarrow as pa  # type: ignore[import-untyped]

    plain = added("x")
    found = envelopes_of(pa.array([plain, framed(1, plain[PREFIX:])], BINARY))
    assert found.good.tolist() == [True, False]
