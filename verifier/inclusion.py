"""Merkle inclusion: the hashes of RFC 6962, 2.1, and the check of RFC 9162, 2.1.3.2, which ends in the root that a proof leads to."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def leaf_of(value: bytes) -> bytes:
    return sha256(b"\0" + value).digest()


def root_from(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root of the tree of `size` leaves in which `proof` puts `leaf` at `index`; None for a proof that fits no such tree."""
    if not 0 <= index < size:
        return None
    first, last, found = index, size - 1, leaf
    for part in proof:
        if last == 0 or len(part) != 32:
            return None
        if first % 2 or first == last:
            found = sha256(b"\1" + part + found).digest()
            while first % 2 == 0 and first:
                first, last = first >> 1, last >> 1
        else:
            found = sha256(b"\1" + found + part).digest()
        first, last = first >> 1, last >> 1
    return found if last == 0 else None
