"""Signed notes (C2SP signed-note v1, tlog-cosignature, tlog-checkpoint), read and checked. Signatures of other keys are ignored."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from memfold.verifier.ed25519 import signature_fits
from memfold.verifier.refusing import Refused

PLAIN, COSIGNED = 0x01, 0x04
SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)")


@dataclass(frozen=True)
class PublicKey:
    """A key with its name. `kind`: PLAIN of a log, COSIGNED of a witness."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"


def public_key(vkey: str, kind: int, where: str) -> PublicKey:
    """The key of a vkey: name, key id in hex, kind and key in base64, joined by '+'. Raises Refused."""
    name, _, rest = vkey.strip().partition("+")
    data = strict_base64(rest.partition("+")[2], where)
    if len(data) != 33 or data[0] != kind:
        raise Refused(
            where, f"{vkey.strip()!r} is no {'witness' if kind == COSIGNED else 'log'}'s Ed25519 key"
        )
    key = PublicKey(name, kind, data[1:])
    if str(key) != vkey.strip():
        raise Refused(where, f"the key id of {vkey.strip()!r} is wrong: it was mistyped")
    return key


def note_text(note: str, key: PublicKey, where: str) -> str:
    """The text of a note that the key has signed, once for sure. Raises Refused."""
    text, signatures = _parts(note, where)
    mine = [bare for name, key_id, bare in signatures if (name, key_id) == (key.name, key.key_id)]
    if not mine:
        raise Refused(where, f"it is not signed by {key.name}+{key.key_id.hex()}")
    if not all(_fits(key, text, bare) for bare in mine):
        raise Refused(where, f"the signature of {key.name}+{key.key_id.hex()} does not fit its text")
    return text


def signers(note: str, where: str) -> list[str]:
    """Who claims to have signed a note."""
    return [f"{name}+{key_id.hex()}" for name, key_id, _ in _parts(note, where)[1]]


def checkpoint_of(text: str, where: str) -> tuple[str, int, bytes]:
    """(origin, size, root) of a checkpoint's verified text. Raises Refused."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not re.fullmatch(r"0|[1-9]\d{0,17}", lines[1]):
        raise Refused(where, "it is no checkpoint (origin, size, root, a line each)")
    return lines[0], int(lines[1]), strict_base64(lines[2], where)


def _parts(note: str, where: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    text, separator, rest = note.rpartition("\n\n")
    lines = [SIGNATURE_LINE.fullmatch(line) for line in rest.split("\n")[:-1]]
    if not separator or not rest.endswith("\n") or not lines or not all(lines):
        raise Refused(
            where, "it is no signed note: a text, a blank line, and a line beginning with '— ' for each key"
        )
    found = [(line[1], strict_base64(line[2], where)) for line in lines if line]
    return text + "\n", [(name, data[:4], data[4:]) for name, data in found]


def _fits(key: PublicKey, text: str, signature: bytes) -> bool:
    if key.kind == PLAIN:
        return signature_fits(key.public, text.encode(), signature)
    time = int.from_bytes(signature[:8], "big")
    return signature_fits(key.public, f"cosignature/v1\ntime {time}\n{text}".encode(), signature[8:])


def strict_base64(text: str, where: str) -> bytes:
    """The bytes of base64 that has only one form. Raises Refused."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data or b64encode(data).decode() != text:
        raise Refused(where, f"{text[:60]!r} is no base64")
    return data
