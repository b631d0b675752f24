"""What is signed: a checkpoint a tree (C2SP tlog-checkpoint), and the heads of all trees at one moment.

A tree is a partition of a topic; its leaves are the records from offset 0 on. A checkpoint has no extension lines. The heads are a
canonical list under a time, not a tree: one short note that an auditor keeps and that pins every partition.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from memfold.audit.merkle import HASH
from memfold.audit.seal_errors import NoteRefused

_NOTE = re.compile(r".+?\n\n(?:— [^\n]+\n)+", re.DOTALL)
_NUMBER = re.compile(r"0|[1-9]\d{0,17}")


@dataclass(frozen=True, slots=True, order=True)
class TreeName:
    """Which partition a tree is of."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"

    @classmethod
    def parse(cls, text: str) -> TreeName:
        """The inverse of str(). Raises NoteRefused."""
        topic, _, partition = text.rpartition("/")
        return cls(topic, number(partition, "partition"))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first `size` leaves of a tree have this root. `origin` is the log's name, '/', the tree's name."""

    origin: str
    size: int
    root: bytes

    @property
    def tree(self) -> TreeName:
        """Of the origin's last two parts. Raises NoteRefused."""
        return TreeName.parse("/".join(self.origin.split("/")[-2:]))

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """A checkpoint of a note's verified text. Raises NoteRefused."""
        lines = text.split("\n")
        if len(lines) < 4 or "" in lines[:-1]:
            raise NoteRefused(f"not a checkpoint (origin, size, root, a line each): {text[:80]!r}")
        return cls(lines[0], number(lines[1], "size"), hash_of(lines[2]))


@dataclass(frozen=True, slots=True)
class Heads:
    """Every tree's newest size and root. `time` in milliseconds since 1970, by the sealer's clock."""

    origin: str
    time: int
    heads: Sequence[Checkpoint]

    def text(self) -> str:
        lines = [f"{head.tree} {head.size} {b64encode(head.root).decode()}\n" for head in self.heads]
        return f"{self.origin}/heads\ntime {self.time}\n{''.join(lines)}"

    @classmethod
    def parse(cls, text: str) -> Heads:
        """The heads of a note's verified text. Raises NoteRefused."""
        first, *lines = text.split("\n")[:-1]
        if not is_heads(text) or not lines or not lines[0].startswith("time "):
            raise NoteRefused(f"not the heads of a log: {text[:80]!r}")
        origin, heads = first.removesuffix("/heads"), []
        for line in lines[1:]:
            parts = line.split(" ")
            if len(parts) != 3:
                raise NoteRefused(f"not a head (tree, size, root): {line!r}")
            tree = TreeName.parse(parts[0])
            heads.append(Checkpoint(f"{origin}/{tree}", number(parts[1], "size"), hash_of(parts[2])))
        return cls(origin, number(lines[0].removeprefix("time "), "time"), heads)


@dataclass(frozen=True, slots=True)
class Seal:
    """A signed checkpoint with the proof that it continues the one before, as a witness takes it (C2SP tlog-witness, add-checkpoint)."""

    old: int
    proof: Sequence[bytes]
    note: str

    def text(self) -> str:
        proof = "".join(f"{b64encode(part).decode()}\n" for part in self.proof)
        return f"old {self.old}\n{proof}\n{self.note}"

    @classmethod
    def parse(cls, text: str) -> Seal:
        """A seal; its note is not verified yet. Raises NoteRefused."""
        before, separator, note = text.partition("\n\n")
        first, *proof = before.split("\n")
        if not separator or not first.startswith("old "):
            raise NoteRefused(f"not a seal (old size, proof, note): {text[:80]!r}")
        return cls(number(first.removeprefix("old "), "old size"), [hash_of(line) for line in proof], note)


def is_heads(text: str) -> bool:
    """Whether a note's text is heads, not a checkpoint."""
    return text.partition("\n")[0].endswith("/heads")


def split_notes(text: str) -> tuple[list[str], str]:
    """The notes or seals that stand one behind the other in a file, and what is left: the beginning of one that a crash cut off."""
    found = list(_NOTE.finditer(text))
    return [match[0] for match in found], text[found[-1].end() if found else 0 :]


def number(text: str, what: str) -> int:
    """A decimal number as it is written in notes. Raises NoteRefused."""
    if not _NUMBER.fullmatch(text):
        raise NoteRefused(f"{text[:80]!r} is no {what}")
    return int(text)


def hash_of(text: str) -> bytes:
    """A SHA-256 hash in base64. Raises NoteRefused."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = b""
    if len(data) != HASH or b64encode(data).decode() != text:
        raise NoteRefused(f"{text[:80]!r} is not a SHA-256 hash in base64")
    return data
