"""The wire format: round trips, golden bytes, and what must be refused."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.schemas.codec import BODIES, decode, decode_envelope, encode, name_of
from memfold.schemas.errors import Unreadable
from memfold.schemas.records import (
    AddRequested,
    Body,
    Clear,
    ClearRequested,
    DeleteRequested,
    Fact,
    Item,
    MemoriesDecided,
    Message,
    ModelCall,
    Operation,
    RelationChange,
    Scope,
    UpdateRequested,
)
from tests.schemas.golden import KEY, envelope_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ids = st.uuids().map(str)
optional = st.none() | texts
times = st.none() | st.datetimes(timezones=st.just(__import__("datetime").UTC))
floats = st.floats(0, 1, width=32)
scopes = st.builds(Scope, optional, optional, optional, optional)
items = st.builds(Item, st.lists(st.builds(Message, texts, texts, optional), max_size=3), texts, times)
operations = st.builds(
    Operation,
    st.sampled_from(["ADD", "UPDATE", "DELETE", "NONE"]),
    ids,
    st.integers(1, 2**31 - 1),
    texts,
    scopes,
    st.integers(0, 99),
    optional,
    optional,
    texts,
    times,
    st.none() | st.binary(max_size=64),
)
relations = st.builds(RelationChange, texts, ids, ids, texts, texts, texts, texts, texts, floats)
calls = st.builds(
    ModelCall, texts, texts, texts, texts, texts, *[st.integers(0, 9)] * 2, floats, st.just(1), texts
)
decided = st.builds(
    MemoriesDecided,
    texts,
    texts,
    st.lists(st.builds(Fact, texts, texts, st.just(0), st.just(1), floats), max_size=2),
    st.lists(operations, max_size=3),
    st.lists(relations, max_size=3),
    st.lists(st.builds(Clear, scopes, st.booleans()), max_size=2),
    st.lists(calls, max_size=2),
    texts,
)
bodies: st.SearchStrategy[Body] = st.one_of(
    st.builds(AddRequested, scopes, st.lists(items, max_size=3), st.booleans()),
    st.builds(UpdateRequested, ids, texts, optional, optional),
    st.builds(DeleteRequested, ids, optional),
    st.builds(ClearRequested, scopes, st.booleans()),
    decided,
)


def key_of(_key_id: str) -> bytes:
    return KEY


@given(bodies)
def test_every_body_comes_back_as_it_was(body: Body) -> None:
    envelope, found = decode(encode(envelope_of(body), body, KEY), key_of)
    assert found == body
    assert envelope.type == name_of(body)


def test_every_body_has_a_schema_and_every_schema_a_body() -> None:
    from memfold.schemas.registry import released

    assert {schema.name for schema in released()} - {"envelope"} == set(BODIES)


@pytest.fixture(scope="module")
def value() -> bytes:
    body = DeleteRequested("5f0c9d4e-0000-4000-8000-000000000001")
    return encode(envelope_of(body), body, KEY)


def mutants(value: bytes, count: int) -> list[bytes]:
    rng = random.Random(7)
    changes: list[Callable[[bytearray], bytes]] = [
        lambda b: bytes(b[: rng.randrange(len(b))]),
        lambda b: bytes(b) + rng.randbytes(rng.randint(1, 8)),
        lambda b: _flipped(b, rng),
        lambda b: rng.randbytes(len(b)),
        lambda b: bytes(b[:10]) + rng.randbytes(len(b) - 10),
    ]
    made = (rng.choice(changes)(bytearray(value)) for _ in range(count))
    return [mutant for mutant in made if mutant != value]


def _flipped(value: bytearray, rng: random.Random) -> bytes:
    value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return bytes(value)


def test_thirty_thousand_damaged_records_are_all_refused(value: bytes) -> None:
    for mutant in mutants(value, 30_000):
        with pytest.raises(Unreadable):
            decode(mutant, key_of)


def test_an_envelope_of_another_subject_does_not_open(value: bytes) -> None:
    subject = decode_envelope(value)[0].subject.encode()
    moved = value.replace(subject, subject[::-1])
    assert moved != value
    with pytest.raises(Unreadable, match="authenticate"):
        decode(moved, key_of)


def test_another_key_does_not_open(value: bytes) -> None:
    with pytest.raises(Unreadable, match="authenticate"):
        decode(value, lambda _: b"x" * 32)


def test_a_body_under_another_type_is_refused() -> None:
    import msgspec

    body = DeleteRequested("x")
    lying = msgspec.structs.replace(envelope_of(body), type="add_requested")
    with pytest.raises(Unreadable, match="the envelope says add_requested"):
        decode(encode(lying, body, KEY), key_of)
