"""Ed25519: the vectors of RFC 8032, 7.1, and agreement with `cryptography` on genuine, damaged and malformed signatures."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.verifier.ed25519 import FIELD, ORDER, point_of, signature_fits

VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]  # fmt: skip


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_published_vectors(public: str, message: str, signature: str) -> None:
    key, said, signed = (bytes.fromhex(text) for text in (public, message, signature))
    assert signature_fits(key, said, signed)
    assert not signature_fits(key, said + b"!", signed)


@settings(max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.integers(0, 95), st.integers(0, 255))
def test_it_says_what_cryptography_says(seed: bytes, message: bytes, place: int, flip: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    changed = bytearray(public + signature)
    changed[place] ^= flip
    key, signed = bytes(changed[:32]), bytes(changed[32:])
    assert signature_fits(key, message, signed) == fits(key, message, signed)


def fits(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_a_signature_has_one_form() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public, signature = private.public_key().public_bytes_raw(), private.sign(b"said")
    scalar = int.from_bytes(signature[32:], "little")
    assert not signature_fits(public, b"said", signature[:32] + (scalar + ORDER).to_bytes(32, "little"))
    assert not signature_fits(public, b"said", signature[:-1])
    assert not signature_fits(public[:-1], b"said", signature)
    assert point_of((FIELD + 1).to_bytes(32, "little")) is None
    assert point_of((1 | 1 << 255).to_bytes(32, "little")) is None, "x = 0 has no odd twin"
