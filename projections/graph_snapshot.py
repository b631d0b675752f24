"""A graph shard that nobody writes any more, opened to be read: a copy of a served one, or one that was built aside.

Opening it for writing would begin to put its files in order, and over damaged files that fails before anything was read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyoxigraph as ox

from memfold.memory.errors import MemfoldError, ShardDamaged
from memfold.projections.graph_store import STORE, placed_in


class GraphSnapshot:
    """The shard in the folder `path`. Raises ShardDamaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self.reading():
            self.triples = ox.Store.read_only(str(path / STORE))
            _, self.position, _, _ = placed_in(self.triples)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What Oxigraph raises inside becomes ShardDamaged."""
        try:
            yield
        except MemfoldError:
            raise
        except (RuntimeError, OSError) as error:
            raise ShardDamaged(f"the graph in {self._path} cannot be read ({error})") from error


def copy_files(path: Path, to: Path) -> None:
    """Make `to` what a crash would leave of the shard in `path` now, for one that its writer cannot copy because it is damaged.

    Tables are linked, for they are never written again; what RocksDB appends to is copied, what tells which tables count first.
    """
    shutil.rmtree(to, ignore_errors=True)
    (to / STORE).mkdir(parents=True)
    files = sorted(
        (path / STORE).glob("*"), key=lambda each: not each.name.startswith(("CURRENT", "MANIFEST"))
    )
    for found in files:
        # What goes meanwhile is missed when the copy is opened, if it counted.
        with suppress(FileNotFoundError):
            if found.suffix == ".sst":
                os.link(found, to / STORE / found.name)
            elif found.is_file() and not found.name.startswith(("LOG", "LOCK")):
                shutil.copyfile(found, to / STORE / found.name)
