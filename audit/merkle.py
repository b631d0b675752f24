"""Merkle trees over leaf hashes: RFC 6962 section 2.1, whose trees and proofs RFC 9162 section 2.1 keeps. Pure; SHA-256.

A tree is known by its nodes: `node(level, index)` is the hash of the complete subtree over the leaves from index * 2**level on,
2**level of them. Who keeps them is the caller's business (`NodeFile` keeps them in a file, `nodes_of` in memory), and nothing here
trusts it: a wrong node gives a proof that its check refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH = 32
EMPTY = sha256(b"").digest()
Node = Callable[[int, int], bytes]


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The right edge of a tree that grows: all that is needed to append leaves and to know the root, about log2(size) hashes."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size, self.peaks = size, list(peaks)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append leaf hashes, in blocks as large as fit: a list comprehension hashes twice as fast as a loop over peaks."""
        at = 0
        while at < len(leaves):
            room = (len(leaves) - at).bit_length() - 1
            level = min(room, (self.size & -self.size).bit_length() - 1) if self.size else room
            block = leaves[at : at + (1 << level)]
            while len(block) > 1:
                pairs = zip(block[::2], block[1::2], strict=True)
                block = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            self._push(block[0], level)
            at += 1 << level

    def append(self, leaf: bytes) -> list[bytes]:
        """Append one leaf hash; the nodes that this completes: the leaf, then the subtrees, smallest first."""
        return self._push(leaf, 0)

    def _push(self, node: bytes, level: int) -> list[bytes]:
        completed, rest = [node], self.size >> level
        while rest & 1:
            completed.append(node_hash(self.peaks.pop(), completed[-1]))
            rest >>= 1
        self.peaks.append(completed[-1])
        self.size += 1 << level
        return completed

    def root(self) -> bytes:
        """The tree's root; that of the empty tree is the hash of nothing."""
        if not self.peaks:
            return EMPTY
        root = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            root = node_hash(peak, root)
        return root


def nodes_of(leaves: Sequence[bytes]) -> Node:
    """The nodes of a tree in memory. Costs one hash a leaf."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(a, b) for a, b in zip(below[::2], below[1::2], strict=False)])
    return lambda level, index: levels[level][index]


def root_of(size: int, node: Node) -> bytes:
    """The root of the first `size` leaves."""
    return _subtree(0, size, node) if size else EMPTY


def _split(size: int) -> int:
    """The largest power of two below `size`: how many leaves are left of the root."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(first: int, end: int, node: Node) -> bytes:
    size = end - first
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, first >> level)
    middle = first + _split(size)
    return node_hash(_subtree(first, middle, node), _subtree(middle, end, node))


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """PATH(index, the first `size` leaves) of RFC 9162, 2.1.3.1. Raises ValueError for a leaf that is not in the tree."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    proof: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            proof.append(_subtree(middle, end, node))
            end = middle
        else:
            proof.append(_subtree(first, middle, node))
            first = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF(old, the first `new` leaves) of RFC 9162, 2.1.4.1; empty for old = 0 or old = new. Raises ValueError if old > new."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} has no beginning of {old}")
    proof: list[bytes] = []
    if old in (0, new):
        return proof
    first, end, whole = 0, new, True
    while end != old:
        middle = first + _split(end - first)
        if old <= middle:
            proof.append(_subtree(middle, end, node))
            end = middle
        else:
            proof.append(_subtree(first, middle, node))
            first, whole = middle, False
    if not whole:
        proof.append(_subtree(first, end, node))
    return proof[::-1]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that `leaf` is leaf `index` of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for part in proof:
        if last == 0 or len(part) != HASH:
            return False
        if position & 1 or position == last:
            found = node_hash(part, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, part)
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether `proof` shows that the tree of `old` leaves is the beginning of that of `new` leaves (RFC 9162, 2.1.4.2).

    Every tree begins with the empty one, and with itself; both need an empty proof.
    """
    if not 0 <= old <= new:
        return False
    if old in (0, new):
        return not proof and old_root == (new_root if old else EMPTY)
    parts = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not parts or any(len(part) != HASH for part in parts):
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_found = new_found = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_found, new_found = node_hash(part, old_found), node_hash(part, new_found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_found = node_hash(new_found, part)
        position, last = position >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == new_root
