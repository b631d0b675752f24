"""Bytes of records: Avro single-object encoding (Avro 1.12, C3 01 + fingerprint) of an envelope around an encrypted body.

Reading is strict and in this order: parse the envelope, authenticate and decrypt the body with the envelope's own bytes as
associated data, decode the body, check that every byte was read. Avro alone accepts about half of all damaged records.

Confluent's framing around the same envelope is read too, and no registry is asked for it: the id says nothing that the log would need,
because the associated data are the bytes in single-object encoding in either case, the fingerprint of the envelope's schema among them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from struct import error as struct_error
from typing import Any

import fastavro
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from memfold.schemas.confluent_frame import unframed
from memfold.schemas.errors import ReaderTooOld, UnknownSchema, Unreadable
from memfold.schemas.records import (
    AddRequested,
    Body,
    ClearRequested,
    DeleteRequested,
    Envelope,
    ImportRequested,
    MemoriesDecided,
    MemoryRead,
    MergeRequested,
    RetryRequested,
    RevokeRequested,
    SplitRequested,
    UpdateRequested,
)
from memfold.schemas.registry import newest, released, with_fingerprint
from memfold.schemas.upcast import upcast

MARKER = b"\xc3\x01"
_PREFIX = len(MARKER) + 8
NO_AVRO = (
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    struct_error,
)
"""What fastavro raises for bytes that are not of the schema."""
BODIES: dict[str, type[Body]] = {
    "add_requested": AddRequested,
    "update_requested": UpdateRequested,
    "delete_requested": DeleteRequested,
    "clear_requested": ClearRequested,
    "retry_requested": RetryRequested,
    "merge_requested": MergeRequested,
    "split_requested": SplitRequested,
    "revoke_requested": RevokeRequested,
    "import_requested": ImportRequested,
    "memories_decided": MemoriesDecided,
    "memory_read": MemoryRead,
}
_NAMES = {body: name for name, body in BODIES.items()}
for _struct in (Envelope, *BODIES.values()):
    # msgspec looks into a class when it first meets it, and two threads that make it do so at once crash the process: a worker's
    # vector and graph threads met their first event together. It has seen them all before there is a second thread.
    msgspec.json.Decoder(_struct)
KeyOf = Callable[[str], bytes]


def name_of(body: Body) -> str:
    return _NAMES[type(body)]


def _write(schema: Any, fields: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, fields)
    return out.getvalue()


def encode(envelope: Envelope, body: Body, key: bytes) -> bytes:
    """A record's value. `envelope.nonce` and `envelope.body_schema` are set here; `key` is the 32-byte key of `key_id`.

    A nonce is 96 random bits: one subject key must not seal more than 2**32 records (NIST SP 800-38D, 8.3).
    """
    clear = newest("envelope")
    fields = msgspec.structs.asdict(envelope)
    fields |= {"body_schema": newest(name_of(body)).fingerprint, "nonce": os.urandom(12), "body": b""}
    header = MARKER + clear.fingerprint + _write(clear.parsed, fields)[:-1]
    plain = _write(newest(name_of(body)).parsed, msgspec.to_builtins(body, builtin_types=(bytes, datetime)))
    sealed = AESGCM(key).encrypt(fields["nonce"], plain, header)
    return header + _long(len(sealed)) + sealed


def decode_envelope(value: bytes) -> tuple[Envelope, bytes, bytes]:
    """(envelope, associated data, encrypted body) of a record's value. Raises Unreadable; nothing is authenticated yet."""
    frame = unframed(value)
    return _of_single_object(value) if frame is None else _of_frame(frame[1])


def _of_frame(datum: bytes) -> tuple[Envelope, bytes, bytes]:
    """Under the newest schema of the envelope that reads it; whether it is the one that wrote it, the body's authentication tells."""
    known = [schema for schema in reversed(released()) if schema.name == "envelope"]
    for schema in known[:-1]:
        with suppress(Unreadable):
            return _of_single_object(MARKER + schema.fingerprint + datum)
    return _of_single_object(MARKER + known[-1].fingerprint + datum)


def _of_single_object(value: bytes) -> tuple[Envelope, bytes, bytes]:
    if value[:2] != MARKER:
        raise Unreadable(f"not an Avro single-object record: it begins with {value[:2].hex() or 'nothing'}")
    try:
        schema = with_fingerprint(value[2:_PREFIX])
        if schema.name != "envelope":
            raise Unreadable(f"the outer schema is {schema.name}, not an envelope")
        source = io.BytesIO(value[_PREFIX:])
        fields: Any = fastavro.schemaless_reader(source, schema.parsed, None)
    except UnknownSchema as unknown:
        raise Unreadable(str(unknown)) from unknown
    except NO_AVRO as broken:
        raise Unreadable(f"the envelope cannot be decoded: {broken}") from broken
    if source.tell() != len(value) - _PREFIX:
        raise Unreadable(f"{len(value) - _PREFIX - source.tell()} bytes follow the record")
    body: bytes = fields.pop("body")
    aad = value[: len(value) - len(body) - len(_long(len(body)))]
    try:
        return msgspec.convert(fields, Envelope), aad, body
    except msgspec.ValidationError as wrong:
        raise Unreadable(f"the envelope does not fit its schema: {wrong}") from wrong


def decode(value: bytes, key_of: KeyOf) -> tuple[Envelope, Body]:
    """Authenticate, open and decode a record's value. `key_of` maps a key id to 32 bytes; what it raises passes through.

    Raises Unreadable for anything that is not exactly what was written.
    """
    envelope, aad, sealed = decode_envelope(value)
    return envelope, open_body(envelope, aad, sealed, key_of(envelope.key_id))


def open_body(envelope: Envelope, aad: bytes, sealed: bytes, key: bytes) -> Body:
    """The body of an envelope, decrypted and upcast to its newest version. Raises Unreadable, ReaderTooOld.

    The second only for what authenticates: who has no key cannot stop a reader by claiming a schema that there is not.
    """
    try:
        plain = AESGCM(key).decrypt(envelope.nonce, sealed, aad)
    except InvalidTag as forged:
        raise Unreadable("the body does not authenticate under its key and envelope") from forged
    try:
        schema = with_fingerprint(envelope.body_schema)
        source = io.BytesIO(plain)
        fields: Any = fastavro.schemaless_reader(source, schema.parsed, None)
        fields = upcast(schema.name, schema.version, newest(schema.name).version, fields)
        body = msgspec.convert(fields, BODIES[schema.name])
    except UnknownSchema as unknown:
        raise ReaderTooOld(_too_old(envelope)) from unknown
    if source.tell() != len(plain):
        raise Unreadable(f"{len(plain) - source.tell()} bytes follow the body")
    if schema.name != envelope.type:
        raise Unreadable(f"the envelope says {envelope.type}, the body is {schema.name}")
    return body


def _too_old(envelope: Envelope) -> str:
    versions = [schema.version for schema in released() if schema.name == envelope.type]
    known = f"knows {envelope.type} up to v{versions[-1]}" if versions else f"knows no {envelope.type}"
    return (
        f"record {envelope.record_id} was written by a newer memfold: a {envelope.type} of schema {envelope.body_schema.hex()}; this one "
        f"{known}. Upgrade memfold"
    )


def _long(number: int) -> bytes:
    """An Avro long: zig-zag, then base 128, low bits first (Avro 1.12, "Binary Encoding")."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
