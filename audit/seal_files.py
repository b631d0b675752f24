"""The seals of one archive on disk.

    <home>/seals/key, vkey                      the private and the public key
    <home>/seals/<topic>-<partition>.seals      every seal of a tree, oldest first
    <home>/seals/<topic>-<partition>.nodes      the tree's nodes, a cache
    <home>/seals/heads.notes                    the heads of all trees, one note a round

All but the nodes are text, and only grow. A crash can leave half a note at an end: readers ignore it, the next sealer removes it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from memfold.audit.checkpoints import Heads, Seal, TreeName, split_notes
from memfold.audit.notes import Verifier, open_note
from memfold.audit.seal_errors import SealerRunning

_END = 16 * 1024


class SealFiles:
    """The files under `folder`, for reading; for writing, hold `lock`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def seals_path(self, tree: TreeName) -> Path:
        return self.folder / f"{tree.topic}-{tree.partition:05d}.seals"

    def nodes_path(self, tree: TreeName) -> Path:
        return self.folder / f"{tree.topic}-{tree.partition:05d}.nodes"

    @property
    def heads_path(self) -> Path:
        return self.folder / "heads.notes"

    def trees(self) -> list[TreeName]:
        """Those that have seals."""
        names = (path.stem.rpartition("-") for path in self.folder.glob("*-*.seals"))
        return sorted(TreeName(topic, int(partition)) for topic, _, partition in names)

    def seals(self, tree: TreeName) -> list[Seal]:
        """Every seal of a tree, oldest first; not verified. Raises NoteRefused."""
        return [Seal.parse(text) for text in _notes(self.seals_path(tree))]

    def newest(self, tree: TreeName) -> Seal | None:
        """The last seal of a tree. Raises NoteRefused."""
        text = _last(self.seals_path(tree))
        return None if text is None else Seal.parse(text)

    def heads(self) -> list[str]:
        """The notes of all heads, oldest first; not verified."""
        return _notes(self.heads_path)

    def newest_heads(self, verifier: Verifier) -> Heads | None:
        """Raises NoteRefused."""
        text = _last(self.heads_path)
        return None if text is None else Heads.parse(open_note(text, verifier))

    def lock(self) -> int:
        """A descriptor that keeps other sealers out until it is closed, or its process ends. Raises SealerRunning."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SealerRunning(f"another process seals here (it holds {path})") from None
        return lock


def append_note(path: Path, note: str) -> None:
    """Put a note behind the others; durable when it returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(note.encode())
        file.flush()
        os.fsync(file.fileno())


def remove_torn_end(path: Path) -> None:
    """Cut off the beginning of a note that a crash left at the end of a file."""
    if path.exists():
        data = path.read_bytes()
        _, torn = split_notes(data.decode(errors="surrogateescape"))
        if torn:
            os.truncate(path, len(data) - len(torn.encode(errors="surrogateescape")))


def _notes(path: Path) -> list[str]:
    return split_notes(path.read_text(encoding="utf-8", errors="replace"))[0] if path.exists() else []


def _last(path: Path) -> str | None:
    """The last whole note of a file, of which only the end is read: a seal of any tree is far shorter than that."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END))
        end = file.read().decode(errors="replace")
    notes, _ = split_notes(end)
    return notes[-1] if notes else None
