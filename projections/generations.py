"""Generations of a projection: complete builds side by side, and one pointer that says which is served.

    <root>/<name>/served         text: g0002
    <root>/<name>/previous       text: g0001, what was served before; written before the pointer moves
    <root>/<name>/g0001/p0003    the shard of partition 3 in the first generation

A pointer moves by writing a new file, syncing it and renaming it over the old one, so a crash leaves the old or the new one.
A folder is removed by renaming it out of the way first, so a half-removed generation is never seen as a whole one.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from uuid import uuid4

from memfold.memory.errors import InvalidInput, ShardDamaged
from memfold.projections.durable import replace_durably
from memfold.projections.unfinished import unfinished

FIRST = "g0001"
_NAME = re.compile(r"g(\d{4,})")
_LEFTOVER = ".leftover-"
COPIES = "served"

Pointer = tuple[int, int, int]


class Generations:
    """The generations of the projection `name` ("vector", "graph") below `root`. Holds no state: any process may have one."""

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / name
        self.pointer_path, self._before = self.folder / "served", self.folder / "previous"

    def served(self) -> str:
        """The generation that is served; the first one as long as none was ever chosen. Raises ShardDamaged."""
        try:
            name = self.pointer_path.read_text()
        except FileNotFoundError:
            return FIRST
        if not _NAME.fullmatch(name):
            raise ShardDamaged(
                f"{self.pointer_path} holds {name[:20]!r}, not a generation; `memfold replay rebuild` makes a new one"
            )
        return name

    def previous(self) -> str | None:
        """The generation that was served before this one, if it is still there."""
        try:
            name = self._before.read_text()
        except FileNotFoundError:
            return None
        there = _NAME.fullmatch(name) and name != self.served() and self.path(name).is_dir()
        return name if there else None

    def remove_previous(self, older_than: float) -> None:
        """Remove the previous generation once it has not been served for so many seconds: nobody returns to it, nobody reads it."""
        previous = self.previous()
        if previous is not None and time.time() - self._before.stat().st_mtime > older_than:
            self.remove(previous)

    def pointer(self) -> Pointer | None:
        """Changes whenever `serve` was called; cheaper to ask for than `served`."""
        try:
            found = self.pointer_path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns

    def existing(self) -> list[str]:
        """The generations on disk, oldest first."""
        if not self.folder.is_dir():
            return []
        names = (_NAME.fullmatch(path.name) for path in self.folder.iterdir() if path.is_dir())
        return [match[0] for match in sorted((match for match in names if match), key=lambda m: int(m[1]))]

    def create_next(self) -> str:
        """An empty generation above all that exist, for this caller alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            number = 1 + max(int(name[1:]) for name in [*self.existing(), self.served()])
            try:
                self.path(f"g{number:04d}").mkdir()
            except FileExistsError:
                continue
            return f"g{number:04d}"

    def serve(self, generation: str) -> None:
        """Point readers to a generation, durably. Raises InvalidInput for one that does not exist or is half built."""
        self.check_whole(generation)
        self.keep_previous(generation)
        replace_durably(self.pointer_path, generation.encode())

    def check_whole(self, generation: str) -> None:
        """Raises InvalidInput for a generation that cannot be served: it does not exist or is half built."""
        if not self.path(generation).is_dir():
            raise InvalidInput(f"{self.path(generation)} does not exist; there are {self.existing()}")
        found = unfinished(self.path(generation))
        if found is not None and not found.whole:
            raise InvalidInput(
                f"{self.path(generation)} is half built; `memfold replay rebuild` goes on with it, and then serves it"
            )

    def keep_previous(self, generation: str) -> None:
        """Before the pointer moves to this generation: what is served until then is the previous one."""
        before = self.served()
        if before != generation and self.path(before).is_dir():
            replace_durably(self._before, before.encode())

    def remove(self, generation: str) -> None:
        """Delete a generation's files, and what an earlier removal left. Raises InvalidInput for the one that is served."""
        if generation == self.served():
            raise InvalidInput(f"{self.path(generation)} is served; serve another generation first")
        if self.path(generation).exists():
            self.path(generation).rename(self.folder / f"{_LEFTOVER}{uuid4().hex}")
        for path in self.folder.glob(f"{_LEFTOVER}*"):
            # Only folders hold data; files are pointers that a crash kept from their place.
            if path.is_dir():
                shutil.rmtree(path)

    def shard_path(self, generation: str, partition: int) -> Path:
        return self.path(generation) / f"p{partition:04d}"

    def copy_path(self, generation: str, partition: int) -> Path:
        """Where a copy of the served shard lies that a verification compares; in the folder of the generation that it builds aside."""
        return self.path(generation) / COPIES / f"p{partition:04d}"

    def path(self, generation: str) -> Path:
        """The folder of a generation, which need not exist. Raises InvalidInput for what is no generation's name."""
        if not _NAME.fullmatch(generation):
            raise InvalidInput(f"{generation!r} is not a generation's name; they are g0001, g0002 ...")
        return self.folder / generation
