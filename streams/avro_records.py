"""Records of anybody's topic as objects: in Confluent's framing, in single-object encoding, as bare Avro of a given schema, or JSON."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from memfold.memory.errors import InvalidInput
from memfold.schemas.codec import MARKER, NO_AVRO
from memfold.schemas.confluent_frame import unframed
from memfold.schemas.registry import fingerprint_of
from memfold.streams.schema_registry import SchemaRegistry

_PREFIX = len(MARKER) + 8


class AvroRecords:
    """Tells the forms apart by their first bytes. Bare Avro has none of its own: it is read so only where a schema is given."""

    def __init__(
        self,
        registry: SchemaRegistry | None,
        schemas: Sequence[str],
        otherwise: Callable[[bytes], Mapping[str, Any]],
    ) -> None:
        """`schemas` are texts of .avsc files; the first is that of bare records. `otherwise` reads what is not Avro."""
        self._registry, self._otherwise = registry, otherwise
        parsed = [fastavro.parse_schema(json.loads(text), named_schemas={}) for text in schemas]
        self._bare = parsed[0] if parsed else None
        self._by_fingerprint = dict(zip(map(fingerprint_of, schemas), parsed, strict=True))

    def object_in(self, raw: bytes) -> Mapping[str, Any]:
        """Raises InvalidInput for what is no record; RegistryUnreachable and RegistryRefused, which say nothing of the record."""
        frame = unframed(raw)
        if frame is not None and self._registry is not None:
            return _object(self._registry.schema(frame[0]), frame[1])
        if raw[:2] == MARKER and (known := self._by_fingerprint.get(raw[2:_PREFIX])) is not None:
            return _object(known, raw[_PREFIX:])
        if self._bare is not None:
            return _object(self._bare, raw)
        if frame is not None:
            raise InvalidInput(
                f"it is framed for a schema registry, as schema {frame[0]}; name it with --registry"
            )
        if raw[:2] == MARKER:
            raise InvalidInput(
                f"it is single-object Avro of the schema {raw[2:_PREFIX].hex()}; give that file with --schema"
            )
        return self._otherwise(raw)


def schema_text(path: Path) -> str:
    """An Avro schema in a file. Raises InvalidInput."""
    try:
        text = path.read_text(encoding="utf-8")
        fastavro.parse_schema(json.loads(text), named_schemas={})
    except OSError as wrong:
        raise InvalidInput(f"the schema {path} cannot be read: {wrong}") from None
    except (ValueError, SchemaParseException, UnknownType) as wrong:
        raise InvalidInput(f"the schema {path} is none of Avro: {wrong}") from None
    return text


def _object(schema: Any, data: bytes) -> Mapping[str, Any]:
    source = io.BytesIO(data)
    try:
        found: Any = fastavro.schemaless_reader(source, schema, None)
    except NO_AVRO as broken:
        raise InvalidInput(f"it is not Avro of its schema: {broken or type(broken).__name__}") from None
    if source.tell() != len(data):
        raise InvalidInput(f"it is not Avro of its schema: {len(data) - source.tell()} bytes follow")
    if not isinstance(found, dict):
        raise InvalidInput(f"a record must be one of Avro, too, not {type(found).__name__}")
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    """As JSON would have it: times in ISO 8601, decimals and UUIDs as text, bytes in base64."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    return b64encode(value).decode() if isinstance(value, bytes) else value
