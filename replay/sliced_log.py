"""One partition's log cut into slices of subjects, and read once for all of them.

    reading    each record is opened once, for the fence counts all of them; what counts is copied, as it stands in the log, to its slice
    a slice    its records in the log's order, and those that clear a whole tenant

The copy is a file without a name: encrypted as the log is, and gone with the process however that ends. In memory are at most BUFFERED
bytes of it, and where the pieces of each slice lie.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

import msgspec
from msgspec.structs import replace

from memfold.memory.errors import NoRoom, ShardDamaged
from memfold.projections.base import Position, fenced
from memfold.replay.slices import numbers_of
from memfold.replay.source import Source
from memfold.schemas.opening import Keys
from memfold.schemas.records import LogRecord
from memfold.streams.projecting import open_batch

BUFFERED = 16 * 2**20
FREE = 2**30
"""Bytes of the disk that are left to others."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[LogRecord]).decode


class SlicedLog:
    """The log of `partition` in `of` slices; the file lies in `folder`. Reads forwards only."""

    def __init__(self, folder: Path, source: Source, keys: Keys, partition: int, of: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._file = folder, TemporaryFile(dir=folder)  # noqa: SIM115
        self._source, self._keys, self._partition = source, keys, partition
        self._waiting: list[list[LogRecord]] = [[] for _ in range(of)]
        self._waiting_bytes = self._size = 0
        self._pieces: list[list[tuple[int, int]]] = [[] for _ in range(of)]
        self.position = Position()
        """How far the log was read, and the fence there."""

    def read(self, end: int) -> None:
        """Take in the records before `end` that were not read yet. Raises NoRoom, WrongKey, and as the source."""
        for records in self._source.read(self._partition, self.position.offset + 1, end):
            events, after = fenced(open_batch(records, self._keys).events, self.position)
            as_it_stands = {record.offset: record for record in records}
            for event in events:
                for number in numbers_of(event, len(self._pieces)):
                    self._waiting[number].append(as_it_stands[event.offset])
                    self._waiting_bytes += len(as_it_stands[event.offset].value)
            self.position = replace(after, offset=records[-1].offset)
            if self._waiting_bytes >= BUFFERED:
                self._write()

    def records_of(self, number: int) -> Iterator[list[LogRecord]]:
        """What was read of a slice. Raises ShardDamaged where the copy is not what was written."""
        for start, length in self._pieces[number]:
            try:
                yield _decode(os.pread(self._file.fileno(), length, start))
            except msgspec.MsgspecError as damage:
                raise ShardDamaged(
                    f"the scrub's own copy of the log of partition {self._partition} is not what was written to it: look at the "
                    f"disk of {self._folder}"
                ) from damage
        if self._waiting[number]:
            yield self._waiting[number]

    def _write(self) -> None:
        if shutil.disk_usage(self._folder).free < FREE + self._waiting_bytes:
            raise NoRoom(
                errno.ENOSPC, f"less than {FREE >> 20} MB would be left for others", str(self._folder)
            )
        for number, records in enumerate(self._waiting):
            if records:
                content = _encode(records)
                self._file.write(content)
                self._pieces[number].append((self._size, len(content)))
                self._size += len(content)
        self._file.flush()
        self._waiting = [[] for _ in self._pieces]
        self._waiting_bytes = 0

    def close(self) -> None:
        # What could not be written is not wanted any more.
        with suppress(OSError):
            self._file.close()
