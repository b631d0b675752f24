"""A writer to be killed: `python graph_writer.py FOLDER LENGTH`, then a seed a line on stdin.

For each line it forks a process that goes on folding the history in random batches. That one prints its pid, then `u` or `b` as
it enters Oxigraph with an update or a bulk load and `.` as it comes back; its parent prints `!` once it is gone. The fork spares
each round a second of imports, and happens before any store, so any thread, is there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, cast

import pyoxigraph as ox

from memfold.projections import graph_store
from memfold.projections.base import fenced
from memfold.projections.graph import GraphShard
from tests.strategies import history

BULK = 300


class Marked:
    """An Oxigraph store that tells when it is entered for writing."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def update(self, text: str) -> None:
        self._marked(b"u", lambda: self._store.update(text))

    def bulk_load(self, lines: bytes, **options: Any) -> None:
        self._marked(b"b", lambda: self._store.bulk_load(lines, **options))

    @staticmethod
    def _marked(mark: bytes, write: Callable[[], None]) -> None:
        os.write(1, mark)
        write()
        os.write(1, b".")


def main(folder: Path, length: int) -> None:
    graph_store.BULK = BULK
    events = history(Random(11), length)
    for seed in sys.stdin:
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            os.write(1, b"!")
            continue
        random = Random(int(seed))
        os.write(1, f"{os.getpid()}\n".encode())
        with closing(GraphShard(folder, 0)) as shard:
            store = shard._store()
            store.triples = cast(ox.Store, Marked(store.triples))
            rest = [event for event in events if event.offset > shard.position().offset]
            while rest:
                size = random.choice([1, 5, 40, 150])
                shard.apply(*fenced(rest[:size], shard.position()))
                rest = rest[size:]
        os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
