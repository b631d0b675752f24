"""Records of memfold's log: an envelope in clear around a body that AES-256-GCM seals, both in Avro (Avro 1.12, single-object encoding).

All bytes of the envelope before the body are its associated data. So who opens a body with its key has checked both. A record in
Confluent's framing (a zero, four bytes of a registry's id, the same envelope) is read as the single object that it stands for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from memfold.verifier.aes_gcm import opened
from memfold.verifier.avro_reading import value_of
from memfold.verifier.refusing import Refused

MARKER = b"\xc3\x01"
FRAMED = b"\x00"
Schemas = Mapping[str, Any]
"""By fingerprint in hex."""


def schemas_of(files: Mapping[str, bytes], released: Mapping[str, str]) -> dict[str, Any]:
    """The schemas in a bundle. `released`: of each one that this verifier knows, fingerprint to SHA-256 of its file. Raises Refused."""
    known = {digest: fingerprint for fingerprint, digest in released.items()}
    found: dict[str, Any] = {}
    for name, data in files.items():
        digest = sha256(data).hexdigest()
        if digest not in known:
            raise Refused(name, "this verifier does not know it: it was changed, or a newer memfold wrote it")
        found[known[digest]] = json.loads(data)
    return found


def schema_with(fingerprint: str, schemas: Schemas, where: str) -> Any:
    """Raises Refused."""
    if fingerprint not in schemas:
        raise Refused(where, f"its schema {fingerprint} is not in the bundle")
    return schemas[fingerprint]


def single_object(value: bytes, schemas: Schemas, where: str) -> bytes:
    """The record without Confluent's framing, if it has one: under whichever envelope of the bundle reads it. Raises Refused."""
    if value[:1] != FRAMED:
        return value
    for fingerprint, schema in schemas.items():
        if isinstance(schema, dict) and schema.get("name") == "Envelope":
            try:
                value_of(schema, value[5:], where)
            except Refused:
                continue
            return MARKER + bytes.fromhex(fingerprint) + value[5:]
    raise Refused(where, "it is framed as for a schema registry, and no envelope in the bundle reads it")


def envelope_of(value: bytes, schemas: Schemas, where: str) -> dict[str, Any]:
    """The envelope of a record, with its encrypted `body` in hex. Raises Refused."""
    value = single_object(value, schemas, where)
    if value[:2] != MARKER:
        raise Refused(where, "it is no Avro single-object record")
    envelope = value_of(schema_with(value[2:10].hex(), schemas, where), value[10:], where)
    if not isinstance(envelope, dict) or "body" not in envelope:
        raise Refused(where, "its outer schema is no envelope")
    return envelope


def body_of(value: bytes, envelope: Mapping[str, Any], key: bytes, schemas: Schemas, where: str) -> Any:
    """The body of a record, authenticated with its envelope and decoded. Raises Refused."""
    value = single_object(value, schemas, where)
    sealed = bytes.fromhex(envelope["body"])
    length = len(value) - len(sealed) - length_of_long(len(sealed))
    plain = opened(key, bytes.fromhex(envelope["nonce"]), sealed, value[:length])
    if plain is None:
        raise Refused(where, "its body does not authenticate under the key in the bundle and its envelope")
    return value_of(schema_with(envelope["body_schema"], schemas, where), plain, where)


def length_of_long(number: int) -> int:
    """How many bytes Avro takes for a length."""
    return max(1, -(-(2 * number).bit_length() // 7))
