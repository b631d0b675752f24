"""AES-256-GCM: the vector of FIPS 197, C.3, and agreement with `cryptography` on what opens and what does not."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from memfold.verifier.aes_gcm import encrypted, expanded, opened


def test_the_published_block() -> None:
    block = (0x00112233, 0x44556677, 0x8899AABB, 0xCCDDEEFF)
    assert encrypted(expanded(bytes(range(32))), block) == 0x8EA2B7CA516745BFEAFC49904B496089


@given(
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=12, max_size=12),
    st.binary(max_size=100),
    st.binary(max_size=50),
    st.data(),
)
def test_it_opens_what_cryptography_sealed_and_nothing_else(
    key: bytes, nonce: bytes, plain: bytes, associated: bytes, data: st.DataObject
) -> None:
    sealed = AESGCM(key).encrypt(nonce, plain, associated)
    assert opened(key, nonce, sealed, associated) == plain
    whole = bytearray(key + nonce + sealed + associated)
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    end = 44 + len(sealed)
    assert opened(bytes(whole[:32]), bytes(whole[32:44]), bytes(whole[44:end]), bytes(whole[end:])) is None


def test_what_cannot_be_sealed_by_it_does_not_open() -> None:
    sealed = AESGCM(bytes(32)).encrypt(bytes(12), b"plain", b"")
    assert opened(bytes(32), bytes(12), sealed[:15], b"") is None
    assert opened(bytes(16), bytes(12), sealed, b"") is None
    assert opened(bytes(32), bytes(16), sealed, b"") is None
