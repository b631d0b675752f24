"""AES-256-GCM, opening only: AES from FIPS 197 with the usual tables of a round, GCM from NIST SP 800-38D.

Slow (a few hundred KB a second) and not in constant time. Both are fine where the key lies open beside the data, and nowhere else.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from hmac import compare_digest

ROUNDS = 14
Words = tuple[int, int, int, int]


def _double(byte: int) -> int:
    """Times x in GF(2^8), modulo x^8 + x^4 + x^3 + x + 1."""
    return (byte << 1) ^ (0x11B if byte & 0x80 else 0)


def _s_box() -> list[int]:
    """FIPS 197, 5.1.1: the inverse, then the affine map. Inverses through the powers of x + 1."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value ^= _double(value)
    box = []
    for byte in range(256):
        inverse = powers[-powers.index(byte) % 255] if byte else 0
        turned = inverse ^ inverse << 1 ^ inverse << 2 ^ inverse << 3 ^ inverse << 4
        box.append((turned ^ turned >> 8) & 0xFF ^ 0x63)
    return box


S_BOX = _s_box()
_FIRST = [_double(s) << 24 | s << 16 | s << 8 | _double(s) ^ s for s in S_BOX]
# SubBytes, ShiftRows and MixColumns of one byte in each place of a column: four tables, each the last one turned by a byte.
MIXED = [[(word >> 8 * turn | word << 32 - 8 * turn) & 0xFFFFFFFF for word in _FIRST] for turn in range(4)]


def expanded(key: bytes) -> list[int]:
    """The 60 words of the key schedule of a 32-byte key (FIPS 197, 5.2)."""
    words = list(struct.unpack(">8I", key))
    constant = 1
    for number in range(8, 4 * (ROUNDS + 1)):
        word = words[-1]
        if number % 8 == 0:
            word = _substituted((word << 8 | word >> 24) & 0xFFFFFFFF) ^ constant << 24
            constant = _double(constant)
        elif number % 8 == 4:
            word = _substituted(word)
        words.append(words[-8] ^ word)
    return words


def _substituted(word: int) -> int:
    return (
        S_BOX[word >> 24] << 24
        | S_BOX[word >> 16 & 255] << 16
        | S_BOX[word >> 8 & 255] << 8
        | S_BOX[word & 255]
    )


def encrypted(words: list[int], block: Words) -> int:
    """One block under an expanded key (FIPS 197, 5.1), as a number of 128 bits."""
    one, two, three, four = MIXED
    a, b, c, d = (part ^ word for part, word in zip(block, words))
    for at in range(4, 4 * ROUNDS, 4):
        a, b, c, d = (
            one[a >> 24] ^ two[b >> 16 & 255] ^ three[c >> 8 & 255] ^ four[d & 255] ^ words[at],
            one[b >> 24] ^ two[c >> 16 & 255] ^ three[d >> 8 & 255] ^ four[a & 255] ^ words[at + 1],
            one[c >> 24] ^ two[d >> 16 & 255] ^ three[a >> 8 & 255] ^ four[b & 255] ^ words[at + 2],
            one[d >> 24] ^ two[a >> 16 & 255] ^ three[b >> 8 & 255] ^ four[c & 255] ^ words[at + 3],
        )
    found = 0
    for number, (p, q, r, s) in enumerate(((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c))):
        word = S_BOX[p >> 24] << 24 | S_BOX[q >> 16 & 255] << 16 | S_BOX[r >> 8 & 255] << 8 | S_BOX[s & 255]
        found = found << 32 | word ^ words[4 * ROUNDS + number]
    return found


def _multiples(hash_key: int) -> list[list[int]]:
    """For each byte of a block, and each value of it: its product with the hash key (SP 800-38D, 6.3)."""
    shifted, tables = hash_key, []
    for _ in range(16):
        bits = []
        for _ in range(8):
            bits.append(shifted)
            shifted = shifted >> 1 ^ (0xE1 << 120 if shifted & 1 else 0)
        table = [0] * 256
        for value in range(1, 256):
            lowest = value & -value
            table[value] = table[value ^ lowest] ^ bits[8 - lowest.bit_length()]
        tables.append(table)
    return tables


@lru_cache(maxsize=64)
def _prepared(key: bytes) -> tuple[list[int], list[list[int]]]:
    words = expanded(key)
    return words, _multiples(encrypted(words, (0, 0, 0, 0)))


def opened(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    """The plaintext of `sealed` (ciphertext, then a tag of 16 bytes); None where it does not authenticate. `nonce`: 12 bytes."""
    if len(key) != 32 or len(nonce) != 12 or len(sealed) < 16:
        return None
    words, tables = _prepared(key)
    ciphertext, tag = sealed[:-16], sealed[-16:]
    start = struct.unpack(">3I", nonce)
    lengths = struct.pack(">2Q", 8 * len(associated), 8 * len(ciphertext))
    found = _hashed(tables, _padded(associated) + _padded(ciphertext) + lengths)
    mask = encrypted(words, (*start, 1))
    if not compare_digest((found ^ mask).to_bytes(16, "big"), tag):
        return None
    blocks = range(2, 2 + -(-len(ciphertext) // 16))
    stream = b"".join(encrypted(words, (*start, count)).to_bytes(16, "big") for count in blocks)
    return bytes(a ^ b for a, b in zip(ciphertext, stream))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def _hashed(tables: list[list[int]], data: bytes) -> int:
    """GHASH (SP 800-38D, 6.4)."""
    found = 0
    for at in range(0, len(data), 16):
        block = (found ^ int.from_bytes(data[at : at + 16], "big")).to_bytes(16, "big")
        found = 0
        for table, byte in zip(tables, block):
            found ^= table[byte]
    return found
