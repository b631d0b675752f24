"""Confluent's framing of a record: a zero byte, four bytes with a registry's id of the schema (big-endian), then Avro."""

from __future__ import annotations

MAGIC = b"\x00"
SIZE = 5


def framed(schema_id: int, datum: bytes) -> bytes:
    """A record's value as Confluent's serializers write it."""
    return MAGIC + schema_id.to_bytes(4, "big") + datum


def unframed(value: bytes) -> tuple[int, bytes] | None:
    """(id of the schema, Avro bytes); None for what is framed otherwise or not at all."""
    if value[:1] != MAGIC or len(value) < SIZE:
        return None
    return int.from_bytes(value[1:SIZE], "big"), value[SIZE:]
