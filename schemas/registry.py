"""The released schemas: every `.avsc` beside this file, by name, version and fingerprint.

A fingerprint is the CRC-64-AVRO of the parsing canonical form (Avro 1.12 specification, "Schema Fingerprints"), made by
fastavro alone: the `avro` package writes another canonical form for logical types. Golden values in the tests pin it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from memfold.schemas.errors import UnknownSchema

_FILE = re.compile(r"(?P<name>[a-z_]+)\.v(?P<version>\d+)\.avsc")


@dataclass(frozen=True, slots=True)
class Schema:
    """One released version of a body or of the envelope. `fingerprint` is 8 bytes, little-endian."""

    name: str
    version: int
    fingerprint: bytes
    parsed: Any
    text: str


def _load(path: Path, name: str, version: int) -> Schema:
    text = path.read_text(encoding="utf-8")
    parsed = fastavro.parse_schema(json.loads(text), named_schemas={})
    return Schema(name, version, fingerprint_of(text), parsed, text)


def fingerprint_of(text: str) -> bytes:
    """Of any schema, as single-object encoding has it: 8 bytes, little-endian."""
    # fastavro gives the hexadecimal of these bytes, not of the number.
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(json.loads(text)), "CRC-64-AVRO"))


@cache
def released() -> tuple[Schema, ...]:
    """All versions of all schemas, by name and version."""
    found = ((_FILE.fullmatch(path.name), path) for path in Path(__file__).parent.glob("*.avsc"))
    schemas = [_load(path, match["name"], int(match["version"])) for match, path in found if match]
    return tuple(sorted(schemas, key=lambda schema: (schema.name, schema.version)))


@cache
def newest(name: str) -> Schema:
    """The schema that writes `name` today. Raises UnknownSchema."""
    versions = [schema for schema in released() if schema.name == name]
    if not versions:
        raise UnknownSchema(f"no schema is named {name!r}; released: {sorted({s.name for s in released()})}")
    return versions[-1]


@cache
def _by_fingerprint() -> dict[bytes, Schema]:
    return {schema.fingerprint: schema for schema in released()}


def with_fingerprint(fingerprint: bytes) -> Schema:
    """The schema that wrote something. Raises UnknownSchema."""
    schema = _by_fingerprint().get(fingerprint)
    if schema is None:
        raise UnknownSchema(
            f"no released schema has the fingerprint {fingerprint.hex()}; a newer memfold wrote this"
        )
    return schema
