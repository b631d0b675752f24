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
from collections.abc import Mapping, Sequence
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
    found = _read(folder, tail)
    if found is None:
        return None
    more, whole = found
    if whole:
        return more
    if tail.length:
        # A writer that found the file damaged has begun another one under its name.
        return read_on(folder, Tail.above(tail.base))
    raise ShardDamaged(
        f"{path_of(folder, tail.base.offset)} is damaged at byte {more.length}; start the worker of this partition again: "
        "it folds the rest from the log"
    )


def taken_up(folder: Path, position: Position) -> Tail:
    """What an earlier writer appended above the table's position, for the one that has its place; from damage on, the log has it."""
    nothing = Tail.above(position)
    tail, whole = _read(folder, nothing) or (nothing, True)
    if not whole:
        path = path_of(folder, position.offset)
        logger.warning(
            "%s is damaged at byte %s; what it held from there on is folded from the log", path, tail.length
        )
    return tail


def remove_tails(folder: Path) -> None:
    """Once a table is committed every tail is above an older position. Raises OSError."""
    for found in folder.glob(f"{_NAME}*"):
        found.unlink(missing_ok=True)


def _read(folder: Path, tail: Tail) -> tuple[Tail, bool] | None:
    """The tail with the frames that follow it, and whether what is behind those is at most the beginning of one."""
    try:
        with path_of(folder, tail.base.offset).open("rb") as file:
            file.seek(tail.length)
            data = file.read()
    except FileNotFoundError:
        return None
    frames, read, whole = _frames(data)
    return (tail.grown(frames, tail.length + read) if frames else tail), whole


def _frames(data: bytes) -> tuple[list[Frame], int, bool]:
    """The whole frames, how many bytes they have, and whether what follows is at most the beginning of one."""
    frames: list[Frame] = []
    at = 0
    while len(data) - at >= _HEAD.size:
        length, of_length, of_rest = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if crc32(data[at : at + 4]) != of_length:
            return frames, at, False
        if len(data) < end:
            break
        payload = data[at + _HEAD.size : end]
        if crc32(payload) != of_rest:
            return frames, at, False
        try:
            frames.append(_decode(payload))
        except msgspec.MsgspecError:
            # Written by a version that knows other rows.
            return frames, at, False
        at = end
    return frames, at, True


class TailFile:
    """The file of a tail, for the shard's only writer. It is made with the first frame, and another one with each commit."""

    def __init__(self, folder: Path, base: int) -> None:
        self._path = path_of(folder, base)
        self._made, self._length = False, 0

    def append(self, frame: Frame) -> int:
        """Write one frame; the length of the file with it. Raises OSError: the file is then as it was, or will be before the next one.

        Raises ShardLocked where another writer has made or removed the file, ShardDamaged where it was cut.
        """
        payload = _encode(frame)
        length = struct.pack("<I", len(payload))
        data = _HEAD.pack(len(payload), crc32(length), crc32(payload)) + payload
        # Opened for each frame: on a network file system others see what was written once it is closed.
        file = self._opened()
        try:
            self._cut(file)
            self._write(file, data)
        finally:
            os.close(file)
        self._length += len(data)
        return self._length

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
