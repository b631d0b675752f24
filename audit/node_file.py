"""The nodes of a tree in one file that only grows, so that a proof over a million leaves is twenty seeks.

Every leaf is followed by the subtrees that it completes, smallest first; so the place of a node follows from its level and index
(the storage order of Go's sumdb/tlog, `StoredHashIndex`). 64 bytes a leaf. The file is a cache of the archive: it can be deleted.
"""

from __future__ import annotations

import os
from pathlib import Path

from memfold.audit.merkle import HASH, CompactRange, Node


def stored(size: int) -> int:
    """How many nodes a tree of `size` leaves has in the file."""
    return 2 * size - size.bit_count()


class NodeFile:
    """Reads and writes a node file. One writer; readers may read what it had flushed."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
        self._file = os.open(path, flags, 0o600)

    def __call__(self, level: int, index: int) -> bytes:
        """The node at `level`, `index`; fewer than 32 bytes where the file is too short, and no proof holds with that."""
        last_leaf = ((index + 1) << level) - 1
        return os.pread(self._file, HASH, (stored(last_leaf) + level) * HASH)

    def write(self, before: CompactRange, leaves: list[bytes]) -> None:
        """Append leaves to the file and to the range that stands where the file does. Durable when it returns."""
        place = stored(before.size) * HASH
        data = b"".join(node for leaf in leaves for node in before.append(leaf))
        while data:
            written = os.pwrite(self._file, data, place)
            data, place = data[written:], place + written
        os.fsync(self._file)

    def cut(self, size: int) -> None:
        """Forget everything behind the first `size` leaves, such as what a crash left."""
        os.ftruncate(self._file, stored(size) * HASH)

    def close(self) -> None:
        os.close(self._file)


def peaks_of(size: int, node: Node) -> list[bytes]:
    """The peaks of a compact range over the first `size` leaves: one complete subtree for each bit of `size`, largest first."""
    peaks, first = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            peaks.append(node(level, first >> level))
            first += 1 << level
    return peaks
