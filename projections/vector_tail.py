"""The tail of a vector shard: what was folded since its table was last committed, in a file beside the table.

A commit to a LanceDB table costs as much as folding a thousand events, however few rows it has, and every reader has to open what it
made. So the rows of a batch are appended here, where readers lay them over what the table says, and are committed some hundreds at a
time (ADR 52).

    <shard>/tail-<offset>    offset: the position that the table was committed with, so each commit begins another tail
    frame                    u32 length; u32 CRC-32 of these four bytes; u32 CRC-32 of the rest; the rest, MessagePack of `Frame`

Numbers are little-endian. A frame is one batch: its rows as they are after it, whole, and the position after it. So whoever has read
up to any frame has the fold of the log up to there. What a killed process left of a frame is no frame. A power cut may take frames
with it; the log has their events.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct

from memfold.memory.errors import ShardDamaged, ShardLocked
from memfold.projections.base import Position
from memfold.projections.vector_rows import Row

_HEAD = struct.Struct("<III")
_NAME = "tail-"

logger = logging.getLogger(__name__)


class Frame(Struct, frozen=True, array_like=True):
    """One batch. `over`: ids of those of its rows that take the place of rows in the table."""

    position: Position
    rows: Sequence[Row]
    over: Sequence[str]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


@dataclass(frozen=True, slots=True)
class Tail:
    """The frames above the table's position `base`, laid over each other: rows by row_id. Nobody changes a row of it.

    `length`: bytes of the file that they are from.
    """

    base: Position
    position: Position
    rows: Mapping[str, Row]
    over: frozenset[str]
    length: int = 0

    @classmethod
    def above(cls, position: Position) -> Tail:
        """Nothing but where the table stands."""
        return cls(position, position, {}, frozenset())

    def grown(self, frames: Sequence[Frame], length: int) -> Tail:
        """With more frames over it."""
        rows, over = dict(self.rows), set(self.over)
        for frame in frames:
            rows.update((row.row_id, row) for row in frame.rows)
            over.update(frame.over)
        return Tail(self.base, frames[-1].position, rows, frozenset(over), length)


def path_of(folder: Path, base: int) -> Path:
    """Where the tail of a table that was committed with this offset is."""
    return folder / f"{_NAME}{base}"


def read_on(folder: Path, tail: Tail) -> Tail | None:
    """The tail with what was appended since it was read; None where it has no file. Raises ShardDamaged."""
    path = path_of(folder, tail.base.offset)
    try:
        with path.open("rb") as file:
            file.seek(tail.length)
            data = file.read()
    except FileNotFoundError:
        return None
    if not data:
        return tail
    frames, read, whole = _frames(data)
    if not whole and tail.length:
        # A writer that found the file damaged has begun another one under its name.
        return read_on(folder, Tail.above(tail.base))
    if not whole:
        raise ShardDamaged(
            f"{path} is damaged at byte {read}; start the worker of this partition again: it folds the rest from the log"
        )
    return tail.grown(frames, tail.length + read) if frames else tail


def taken_up(folder: Path, position: Position) -> Tail:
    """What an earlier writer appended above the table's position, for the one that has its place; from damage on, the log has it."""
    path, tail = path_of(folder, position.offset), Tail.above(position)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return tail
    frames, read, whole = _frames(data)
    if not whole:
        logger.warning(
            "%s is damaged at byte %s; what it held from there on is folded from the log", path, read
        )
    return tail.grown(frames, read) if frames else tail


def _frames(data: bytes) -> tuple[list[Frame], int, bool]:
    """The whole frames, how many bytes they have, and whether what follows is at most the beginning of one."""
    frames: list[Frame] = []
    read = 0
    for payload, end in _payloads(data):
        try:
            frames.append(_decode(payload or b""))
        except msgspec.MsgspecError:
            return frames, read, False
        read = end
    return frames, read, True


def _payloads(data: bytes) -> Iterator[tuple[bytes | None, int]]:
    """What each frame holds, and where it ends; None for one that is damaged, after which nothing is read."""
    at = 0
    while len(data) - at >= _HEAD.size:
        length, of_length, of_rest = _HEAD.unpack_from(data, at)
        begin, end = at + _HEAD.size, at + _HEAD.size + length
        if crc32(data[at : at + 4]) != of_length:
            yield None, end
            return
        if len(data) < end:
            return
        payload = data[begin:end]
        if crc32(payload) != of_rest:
            yield None, end
            return
        yield payload, end
        at = end


class TailFile:
    """The file of a tail, for the shard's only writer. It is made with the first frame, and another one with each commit."""

    def __init__(self, folder: Path, base: int) -> None:
        self._folder, self._path = folder, path_of(folder, base)
        self._made, self._length = False, 0

    def append(self, frame: Frame) -> int:
        """Write one frame; the length of the file with it. Raises OSError: the file is then as it was, or will be before the next one.

        Raises ShardLocked where another writer has made or removed the file, ShardDamaged where it was cut.
        """
        payload = _encode(frame)
        length = struct.pack("<I", len(payload))
        data = length + struct.pack("<II", crc32(length), crc32(payload)) + payload
        # Opened for each frame: on a network file system others see what was written once it is closed.
        file = self._opened()
        try:
            self._cut(file)
            self._write(file, data)
        finally:
            os.close(file)
        self._length += len(data)
        return self._length

    def remove_others(self) -> None:
        """Every tail but this one belongs to an older commit. Raises OSError."""
        for found in self._folder.glob(f"{_NAME}*"):
            if found != self._path or not self._made:
                found.unlink(missing_ok=True)

    def _opened(self) -> int:
        try:
            if not self._made:
                file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                self._made = True
                return file
            return os.open(self._path, os.O_WRONLY)
        except (FileExistsError, FileNotFoundError) as other:
            raise ShardLocked(
                f"another writer has {'removed' if self._made else 'made'} {self._path}; "
                "stop one of the two workers, then `memfold replay verify`"
            ) from other

    def _cut(self, file: int) -> None:
        """A frame that failed half way, of a full disk, must not stand before the next one."""
        found = os.fstat(file).st_size
        if found < self._length:
            raise ShardDamaged(
                f"{self._path} has {found} bytes of {self._length}; start the worker again: it folds the rest from the log"
            )
        if found > self._length:
            os.ftruncate(file, self._length)

    def _write(self, file: int, data: bytes) -> None:
        written = 0
        while written < len(data):
            written += os.pwrite(file, data[written:], self._length + written)
