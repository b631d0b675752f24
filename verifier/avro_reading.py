"""Avro binary encoding (Avro 1.12), reading only, of the types that memfold's schemas use. Bytes become hex, times ISO 8601."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from memfold.verifier.refusing import Refused

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Reader:
    """Bytes that are read from the front. `where` is what errors name."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data, self._at, self.where = data, 0, where

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if count < 0 or len(part) < count:
            raise Refused(self.where, f"it ends inside a value, at byte {len(self._data)}")
        self._at += count
        return part

    def long(self) -> int:
        """Zig-zag, base 128, low bits first."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)
            shift += 7

    def text(self) -> str:
        try:
            return self.take(self.long()).decode()
        except UnicodeDecodeError:
            raise Refused(self.where, "a text in it is not UTF-8") from None

    def end(self) -> None:
        if self._at != len(self._data):
            raise Refused(self.where, f"{len(self._data) - self._at} bytes follow its last value")


PRIMITIVES: dict[str, Callable[[Reader], Any]] = {
    "null": lambda reader: None,
    "boolean": lambda reader: reader.take(1) != b"\0",
    "int": Reader.long,
    "long": Reader.long,
    "float": lambda reader: struct.unpack("<f", reader.take(4))[0],
    "double": lambda reader: struct.unpack("<d", reader.take(8))[0],
    "string": Reader.text,
    "bytes": lambda reader: reader.take(reader.long()).hex(),
}


def value_of(schema: Any, data: bytes, where: str) -> Any:
    """What a schema makes of bytes, all of them. Raises Refused."""
    reader = Reader(data, where)
    found = _value(schema, reader, {})
    reader.end()
    return found


def _value(schema: Any, reader: Reader, named: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        branch = reader.long()
        if not 0 <= branch < len(schema):
            raise Refused(reader.where, f"a union in it has no branch {branch}")
        return _value(schema[branch], reader, named)
    if isinstance(schema, str):
        return _value(named[schema], reader, named) if schema in named else _primitive(schema, reader)
    kind = schema["type"]
    if kind in ("record", "fixed"):
        named[schema["name"]] = schema
    if kind == "record":
        return {field["name"]: _value(field["type"], reader, named) for field in schema["fields"]}
    if kind == "fixed":
        return reader.take(schema["size"]).hex()
    if kind == "array":
        return _items(schema["items"], reader, named)
    if schema.get("logicalType") == "timestamp-micros":
        return _time(reader)
    return _value(kind, reader, named)


def _primitive(name: str, reader: Reader) -> Any:
    if name not in PRIMITIVES:
        raise Refused(reader.where, f"this verifier does not read the Avro type {name!r}; use a newer one")
    return PRIMITIVES[name](reader)


def _items(schema: Any, reader: Reader, named: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    while True:
        count = reader.long()
        if count < 0:
            count = -count
            reader.long()
        if not count:
            return found
        for _ in range(count):
            found.append(_value(schema, reader, named))


def _time(reader: Reader) -> str:
    try:
        return (EPOCH + timedelta(microseconds=reader.long())).isoformat()
    except OverflowError:
        raise Refused(reader.where, "a time in it is out of range") from None
