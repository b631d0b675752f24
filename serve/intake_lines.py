"""JSON lines as a source, from a file or from standard input.

A line is told from every other by the digest of all lines up to it. So the same line said twice is two, the same file under another name
is the same, and a file that grew goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
import select
from collections.abc import Iterator, Mapping
from pathlib import Path

from memfold.memory.errors import InvalidInput
from memfold.memory.intake_source import Place, SourceRecord
from memfold.replay.jsonl import object_in

AT_ONCE = 500
WAITED = 0.25
"""Seconds to wait for a line on standard input; also how long a stop may take."""
MOST = 4 * 1024 * 1024
_CHUNK = 256 * 1024


class LineSource:
    """Lines of a file, or of standard input for None."""

    def __init__(self, path: Path | None) -> None:
        self.name = "standard input" if path is None else str(path)
        try:
            self._descriptor = 0 if path is None else os.open(path, os.O_RDONLY)
            self._lines = self._read()
            self._number, self._before = 0, hashlib.sha256()
        except OSError as wrong:
            raise InvalidInput(f"{path} cannot be read: {wrong}") from None

    def go_on(self, place: Place) -> bool:
        """Pass over what was read before; False if that is not what stands there, and then this source is used up."""
        while self._number < place.next - 1:
            line = next(self._lines, None)
            if line is None:
                return False
            self._count(line)
        return self._before.hexdigest() == place.digest

    def take(self) -> list[SourceRecord] | None:
        """Raises InvalidInput for a line of more than 4 MiB."""
        taken: list[SourceRecord] = []
        for line in self._lines:
            if line is None:
                return taken
            before = Place(self._number + 1, self._before.hexdigest())
            self._count(line)
            if line.strip():
                taken.append(self._record(line, before))
            if len(taken) == AT_ONCE:
                return taken
        return taken or None

    def _count(self, line: bytes) -> None:
        self._number += 1
        self._before.update(line.removesuffix(b"\n") + b"\n")

    def _record(self, line: bytes, before: Place) -> SourceRecord:
        where, identity = f"line {self._number}", self._before.hexdigest()
        # A last line without its end may still be being written: it is read again next time, and counts once all the same.
        after = Place(self._number + 1, identity) if line.endswith(b"\n") else before
        try:
            return SourceRecord(where, 0, after, identity, line, object_in(line, "a record"))
        except InvalidInput as wrong:
            return SourceRecord(where, 0, after, identity, line, flaw=str(wrong))

    def _read(self) -> Iterator[bytes | None]:
        """Lines; None when nothing came for a moment."""
        rest = b""
        while True:
            if not select.select([self._descriptor], [], [], WAITED)[0]:
                yield None
                continue
            chunk = os.read(self._descriptor, _CHUNK)
            if not chunk:
                break
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line + b"\n"
            if len(rest) > MOST:
                raise InvalidInput(f"{self.name} has a line of more than {MOST} bytes; is it JSON lines?")
        if rest:
            yield rest

    def told(self, places: Mapping[int, Place]) -> str:
        return f"line {places[0].next - 1}" if places else "its beginning"

    def close(self) -> None:
        if self._descriptor:
            os.close(self._descriptor)
