"""Signed notes (C2SP signed-note v1): a text, a blank line, and a line for each signature, with Ed25519 keys.

Two kinds of signatures are made and checked: 0x01, over the text, and 0x04, a witness's cosignature/v1 (C2SP tlog-cosignature), which
says since when it has seen the text. Signatures of unknown keys are ignored, as the specification asks.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from memfold.audit.seal_errors import NoteRefused

SIGNATURE, COSIGNATURE = 0x01, 0x04
_LINE = re.compile(r"— (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+=*)")


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name. `kind` is SIGNATURE or COSIGNATURE."""

    name: str
    public: bytes
    kind: int = SIGNATURE

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """The vkey: name, key id in hex, kind and key in base64, joined by '+'."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """The key of a vkey. Raises NoteRefused."""
        name, _, rest = vkey.strip().partition("+")
        key_id, _, data = rest.partition("+")
        key = _base64(data)
        if not name or len(key) != 33 or key[0] not in (SIGNATURE, COSIGNATURE):
            raise NoteRefused(f"{vkey.strip()!r} is not a verifier key: name+key id+key, of an Ed25519 key")
        found = cls(name, key[1:], key[0])
        if found.key_id.hex() != key_id:
            raise NoteRefused(
                f"the key id of {vkey.strip()!r} should be {found.key_id.hex()}: it was mistyped"
            )
        return found

    def signed_at(self, text: str, signature: bytes) -> int | None:
        """The time of a cosignature in seconds since 1970, 0 for a plain signature, None for one that does not verify."""
        time = int.from_bytes(signature[:8]) if self.kind == COSIGNATURE else 0
        bare = signature[8:] if self.kind == COSIGNATURE else signature
        message = _cosigned(text, time) if self.kind == COSIGNATURE else text
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(bare, message.encode())
        except InvalidSignature:
            return None
        return time


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name: no spaces, no '+'."""

    name: str
    private: Ed25519PrivateKey

    def verifier(self, kind: int = SIGNATURE) -> Verifier:
        return Verifier(self.name, self.private.public_key().public_bytes_raw(), kind)

    def sign(self, text: str) -> str:
        """The note of a text that ends in a newline."""
        signature = self.private.sign(text.encode())
        return f"{text}\n{_line(self.verifier(), signature)}"

    def cosign(self, note: str, time: int) -> str:
        """The note with this key's cosignature, in place of an earlier one. `time` in seconds since 1970."""
        text, lines = split_note(note)
        verifier = self.verifier(COSIGNATURE)
        signature = time.to_bytes(8) + self.private.sign(_cosigned(text, time).encode())
        others = [_line_of(*each) for each in lines if each[:2] != (verifier.name, verifier.key_id)]
        return f"{text}\n{''.join(others)}{_line(verifier, signature)}"


def _cosigned(text: str, time: int) -> str:
    return f"cosignature/v1\ntime {time}\n{text}"


def _line(verifier: Verifier, signature: bytes) -> str:
    return _line_of(verifier.name, verifier.key_id, signature)


def _line_of(name: str, key_id: bytes, signature: bytes) -> str:
    return f"— {name} {b64encode(key_id + signature).decode()}\n"


def split_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """(text, [(key name, key id, signature)]) of a note; nothing is verified yet. Raises NoteRefused."""
    text, separator, rest = note.rpartition("\n\n")
    found = [_LINE.fullmatch(line) for line in rest.split("\n")[:-1]]
    if not separator or not rest.endswith("\n") or not found or not all(found):
        raise NoteRefused(
            "not a signed note: a text, a blank line, and a line beginning with '— ' for each key"
        )
    lines = [(match["name"], _base64(match["signature"])) for match in found if match]
    if any(len(signature) <= 4 for _, signature in lines):
        raise NoteRefused("a signature line of the note is too short")
    return text + "\n", [(name, signature[:4], signature[4:]) for name, signature in lines]


def open_note(note: str, verifier: Verifier) -> str:
    """The text of a note, once the key's signature on it is verified. Raises NoteRefused, also where one of the key's does not verify."""
    text, lines = split_note(note)
    mine = [s for name, key_id, s in lines if (name, key_id) == (verifier.name, verifier.key_id)]
    if not mine:
        signers = ", ".join(f"{name}+{key_id.hex()}" for name, key_id, _ in lines)
        raise NoteRefused(f"the note is signed by {signers}, not by {verifier.name}+{verifier.key_id.hex()}")
    if any(verifier.signed_at(text, signature) is None for signature in mine):
        raise NoteRefused(
            f"the signature of {verifier.name}+{verifier.key_id.hex()} does not fit the note's text"
        )
    return text


def _base64(text: str) -> bytes:
    """Strict: one encoding for each value, or a note could be changed and still verify."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = b""
    return data if b64encode(data).decode() == text else b""
