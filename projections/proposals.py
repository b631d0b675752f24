"""A move of the pointer that several processes agree on: it happens, or one of them withdraws it, and never both.

    <root>/<name>/proposed-1f0a...    text: g0003; renamed over `served` when it happens, unlinked when it is withdrawn

The file is all that is shared. Both steps take it away, and the file system lets one of them: so who has waited long enough, or opens
a shard of what is served now, knows that nobody moves the pointer behind its back.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from memfold.projections.durable import replace_durably, sync_directory
from memfold.projections.generations import Generations

_FILE = "proposed-"


class Proposals:
    """Of one projection. Holds no state: any process may have one."""

    def __init__(self, generations: Generations) -> None:
        self._generations = generations

    def make(self, generation: str) -> str:
        """Propose to serve a generation; the name of the proposal. Withdraws every other one. Raises InvalidInput as `serve`."""
        self._generations.check_whole(generation)
        self.withdraw_all()
        name = uuid4().hex
        replace_durably(self._path(name), generation.encode())
        return name

    def commit(self, name: str) -> None:
        """Move the pointer, durably, unless the proposal was withdrawn; `served` tells."""
        path = self._path(name)
        with suppress(FileNotFoundError):
            self._generations.keep_previous(path.read_text())
            os.replace(path, self._generations.pointer_path)
            sync_directory(path.parent)

    def withdraw(self, name: str) -> None:
        """From now on the pointer does not move by this proposal; it may have moved before."""
        self._path(name).unlink(missing_ok=True)

    def withdraw_all(self) -> None:
        for path in self._generations.folder.glob(f"{_FILE}*"):
            path.unlink(missing_ok=True)

    def settled(self) -> str:
        """The generation that is served, for who opens a shard of it and has agreed to nothing."""
        self.withdraw_all()
        return self._generations.served()

    def _path(self, name: str) -> Path:
        return self._generations.folder / f"{_FILE}{name}"
