"""Rows of the archive made in columns are those that are made one by one, also of bytes that are no record, or nearly one."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from msgspec.structs import replace

from memfold.projections.archive_rows import SCHEMA, table_of
from memfold.schemas.codec import decode_envelope, encode
from memfold.schemas.errors import Unreadable
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import DeleteRequested, Envelope, LogRecord

KEY = bytes(range(32))
ENVELOPE = Envelope(
    "record", "delete_requested", "täñant", "subject", "command", datetime(2026, 3, 3, tzinfo=UTC), b"", "key", b""
)  # fmt: skip


def _value(random: Random) -> bytes:
    """A genuine record, or one with bytes changed, cut off or added."""
    count = random.choice([0, 1, 2, 3, 300])
    envelope = replace(
        ENVELOPE,
        record_id="é" * random.randrange(40),
        command_offset=random.choice([-1, 0, 63, 64, 2**40]),
        memory_ids=[f"memory {number}" for number in range(count)],
    )
    value = bytearray(encode(envelope, DeleteRequested("m"), KEY))
    kind = random.randrange(6)
    if kind == 0:
        value[random.randrange(len(value))] ^= 1 << random.randrange(8)
    elif kind == 1:
        del value[random.randrange(len(value)) :]
    elif kind == 2:
        value += b"\0"
    return bytes(value)


def _alone(value: bytes) -> Envelope | None:
    try:
        return decode_envelope(value)[0]
    except Unreadable:
        return None


@pytest.mark.parametrize("seed", range(30))
def test_in_columns_as_one_by_one(seed: int) -> None:
    random = Random(seed)
    values = [_value(random) for _ in range(150)]
    if seed == 0:
        values = [b""] * 150
    records = [LogRecord(EVENTS, 2, offset, offset, b"key", value) for offset, value in enumerate(values)]
    together, alone = table_of(records), table_of(records, [_alone(value) for value in values])
    together.validate(full=True)
    assert together.schema.equals(SCHEMA)
    assert together.equals(alone)
    assert (together["record_id"].null_count > 0) == any(_alone(value) is None for value in values)
