"""Records decoded in columns are the records that fastavro decodes, and whatever is not a whole record is refused."""

from __future__ import annotations

import io
from datetime import datetime
from random import Random
from typing import Any

import fastavro
import msgspec
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from memfold.schemas.codec import encode
from memfold.schemas.columns import MOST, Column, Items, Nullable, Slices, decode_columns
from memfold.schemas.errors import KeyDestroyed
from memfold.schemas.opening import open_record
from memfold.schemas.opening_columns import open_columns
from memfold.schemas.partitions import EVENTS, key_of
from memfold.schemas.records import Event, LogRecord, MemoriesDecided, ModelCall, RetryRequested, Scope
from memfold.schemas.registry import newest
from tests.strategies import histories, history, randoms

BODY = newest("memories_decided").parsed
KEY = bytes(range(32))


def plain(body: MemoriesDecided) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, BODY, msgspec.to_builtins(body, builtin_types=(bytes, datetime)))
    return out.getvalue()


def decoded(values: list[bytes]) -> tuple[list[Any], list[bool]]:
    """The records as fastavro would give them (times as microseconds), and which are good."""
    ends = np.cumsum([len(value) for value in values], dtype=np.int64)
    starts = ends - np.array([len(value) for value in values], np.int64)
    data = np.frombuffer(b"".join(values), np.uint8)
    fields, good = decode_columns(BODY, data, starts, ends)
    return rows_of(fields, len(values)), good.tolist()


def rows_of(column: Column, count: int) -> list[Any]:
    if isinstance(column, dict):
        columns = {name: rows_of(each, count) for name, each in column.items()}
        return [{name: each[row] for name, each in columns.items()} for row in range(count)]
    if isinstance(column, Items):
        inner = rows_of(column.items, len(column.rows))
        return [[inner[at] for at in np.flatnonzero(column.rows == row)] for row in range(count)]
    if isinstance(column, Nullable):
        inner = rows_of(column.column, count)
        return [value if there else None for value, there in zip(inner, column.present, strict=True)]
    if isinstance(column, Slices):
        found: list[Any] = column.array(pa.large_binary()).to_pylist()
        return found
    numbers: list[Any] = column.tolist()
    return numbers


def by_fastavro(value: bytes) -> Any:
    source = io.BytesIO(value)
    fields = fastavro.schemaless_reader(source, BODY, None)
    if source.tell() != len(value):
        raise ValueError("bytes follow")
    return as_bytes(fields)


def as_bytes(value: Any) -> Any:
    """Text as UTF-8, times as microseconds, as they stand in the columns; what models were shown is not followed there."""
    if isinstance(value, dict):
        return {name: [] if name == "shown" else as_bytes(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_bytes(each) for each in value]
    if isinstance(value, datetime):
        seconds = value - datetime(1970, 1, 1, tzinfo=value.tzinfo)
        return (seconds.days * 86_400 + seconds.seconds) * 1_000_000 + seconds.microseconds
    return value.encode() if isinstance(value, str) else int(value) if isinstance(value, bool) else value


def with_calls(event: Event) -> MemoriesDecided:
    call = ModelCall("extract", "openai", "m", answer="né", latency_ms=1.5, shown=["a", "b"])
    return replace(event.body, calls=[call] * (event.offset % 3))


@settings(deadline=None, max_examples=40)
@given(histories())
def test_every_record_is_decoded_as_it_was_written(events: list[Event]) -> None:
    values = [plain(with_calls(event)) for event in events]
    found, good = decoded(values)
    assert all(good)
    for event, row in zip(events, found, strict=True):
        row["calls"] = [{**call, "shown": []} for call in row["calls"]]
        assert row == by_fastavro(plain(with_calls(event)))


@settings(deadline=None, max_examples=40)
@given(histories(), randoms())
def test_what_is_accepted_of_damaged_records_is_what_fastavro_reads(
    events: list[Event], random: Random
) -> None:
    values = []
    for event in events:
        damaged = bytearray(plain(event.body))
        for _ in range(random.randint(0, 2)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        values.append(
            bytes(damaged[: len(damaged) - random.choice([0, 0, 0, 1])]) + bytes(random.choice([0, 0, 0, 1]))
        )
    found, good = decoded(values)
    for value, row, accepted in zip(values, found, good, strict=True):
        if accepted:
            assert row == by_fastavro(value)


def test_a_list_that_is_too_long_is_left_to_be_decoded_alone() -> None:
    (event,) = history(Random(1), 1)
    operation = history(Random(2), 30)[-1].body.operations[:1] or event.body.operations[:1]
    values = [
        plain(MemoriesDecided("decided", operations=operation * count)) for count in (MOST, MOST + 1, 1)
    ]
    assert decoded(values)[1] == [True, False, True]


@pytest.mark.parametrize("where", ["marker", "envelope", "body", "tag", "key"])
def test_only_the_genuine_ones_are_opened(where: str) -> None:
    records = []
    for event in history(Random(3), 12):
        value = encode(event.envelope, event.body, KEY)
        key = key_of(event.envelope.tenant, event.envelope.subject)
        records.append(LogRecord(EVENTS, 0, event.offset, 0, key, value))
    changed = records[5]
    at = {
        "marker": 0,
        "envelope": 60,
        "body": len(changed.value) // 2,
        "tag": len(changed.value) - 1,
        "key": 0,
    }[where]
    flipped = bytearray(changed.value)
    flipped[at] ^= where != "key"
    records[5] = replace(changed, value=bytes(flipped), key=changed.key + b"x" * (where == "key"))

    class OneKey:
        def key(self, key_id: str) -> bytes:
            return KEY

    opened = open_columns(
        pa.array([r.key for r in records], pa.binary()),
        pa.array([r.value for r in records], pa.binary()),
        OneKey(),
    )
    assert np.flatnonzero(~opened.opened).tolist() == [5]
    assert sum(len(bodies.rows[bodies.rows >= 0]) for bodies in opened.bodies) == 11


def test_a_body_under_another_type_is_refused_and_a_destroyed_key_is_told() -> None:
    (event,) = history(Random(3), 1)
    retry = encode(replace(event.envelope, type="memories_decided"), RetryRequested(Scope("alex")), KEY)
    gone = encode(replace(event.envelope, key_id="gone"), event.body, KEY)
    key = key_of(event.envelope.tenant, event.envelope.subject)

    class Keys:
        def key(self, key_id: str) -> bytes:
            if key_id == "gone":
                raise KeyDestroyed("gone")
            return KEY

    opened = open_columns(pa.array([key, key], pa.binary()), pa.array([retry, gone], pa.binary()), Keys())
    assert (opened.opened.tolist(), opened.destroyed.tolist()) == ([False, False], [False, True])
    with pytest.raises(Exception, match="the body is retry_requested"):
        open_record(LogRecord(EVENTS, 0, 0, 0, key, retry), Keys())
