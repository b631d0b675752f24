"""Where things are in a bundle, and the one form of its JSON."""

from __future__ import annotations

import json
from typing import Any

from memfold.verifier.refusing import Refused

FORMAT = "memfold evidence bundle 1"
VERIFIER, MANIFEST, NOTE, KEY, SUBJECT_KEYS = (
    "verify.py",
    "manifest.json",
    "bundle.note",
    "log.vkey",
    "keys.json",
)
HEADS, PROOFS, DECODED, PAGE = "heads.note", "proofs.json", "decoded.json", "report.html"
COMMANDS = "memfold.commands"
SCHEMAS, CHECKPOINTS, RECORDS = "schemas/", "checkpoints/", "records/"


def record_file(topic: str, partition: int, offset: int) -> str:
    return f"{RECORDS}{topic}/{partition}/{offset}.avro"


def checkpoint_file(topic: str, partition: int) -> str:
    return f"{CHECKPOINTS}{topic}-{partition:05d}.checkpoint"


def json_bytes(value: Any) -> bytes:
    """The only form in which a value stands in a bundle."""
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def json_value(data: bytes, where: str) -> Any:
    """The value of JSON in that form. Raises Refused."""
    try:
        value = json.loads(data)
    except ValueError as broken:
        raise Refused(where, f"it is no JSON: {broken}") from None
    if json_bytes(value) != data:
        raise Refused(where, "its JSON is not in the form that a bundle's has")
    return value


def note_body(log: str, manifest_digest: str, time: int) -> str:
    """What the log's key signs of a bundle: the digest of the manifest, which has the digest of every other file."""
    return f"{log}/bundle\nmanifest {manifest_digest}\ntime {time}\n"
