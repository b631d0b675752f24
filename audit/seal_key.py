"""The key that signs seals: made at first need, readable by the home's owner only; its public half stands beside it.

The log's name is made with it and never changes: it is the origin of every checkpoint. A key that is not the one whose public half
stands there was replaced; nothing is signed with it.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from memfold.audit.notes import Signer, Verifier
from memfold.audit.seal_errors import NoteRefused, SealKeyReplaced
from memfold.projections.durable import write_once


def seal_key(folder: Path) -> Signer:
    """The key of the seals under `folder`. Two processes that need it first agree on one. Raises SealKeyReplaced."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "key"
    if not path.exists():
        if (folder / "vkey").exists():
            raise SealKeyReplaced(f"{path} is gone, but {folder} holds seals of it; restore it from a copy")
        name = f"memfold/{secrets.token_hex(8)}"
        private = Ed25519PrivateKey.generate().private_bytes_raw()
        write_once(path, f"{name} {b64encode(private).decode()}\n")
    signer = _read(path)
    write_once(folder / "vkey", f"{signer.verifier()}\n")
    known = seal_verifier(folder)
    if known != signer.verifier():
        raise SealKeyReplaced(
            f"{path} is the key {signer.verifier()}, but the seals in {folder} were begun with {known}; restore that key"
        )
    return signer


def seal_verifier(folder: Path) -> Verifier:
    """The public key of the seals under `folder`. Raises NoteRefused, also where there is none yet."""
    try:
        return Verifier.parse((folder / "vkey").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoteRefused(f"{folder / 'vkey'} is missing: nothing was sealed here yet") from None


def signing_key(path: Path, name: str) -> Signer:
    """A key of somebody else's, such as a witness; made when it is not there."""
    if not path.exists():
        private = Ed25519PrivateKey.generate().private_bytes_raw()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, f"{name} {b64encode(private).decode()}\n")
    return _read(path)


def _read(path: Path) -> Signer:
    name, _, private = path.read_text(encoding="utf-8").strip().partition(" ")
    try:
        return Signer(name, Ed25519PrivateKey.from_private_bytes(b64decode(private, validate=True)))
    except ValueError:
        raise SealKeyReplaced(
            f"{path} holds no Ed25519 key (name, 32 bytes in base64); restore it from a copy"
        ) from None
