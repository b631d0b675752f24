"""Processes that are spawned, and begin without the parent's main module.

Spawned, because a forked child would inherit the threads of librdkafka, Lance and Oxigraph in mid-step. `multiprocessing` has a
child import the main module of its parent anew: where that is the command line it takes longer than all else that the child
imports, and where it is a caller's script without a guard it would run that script again. Nothing here is asked for from there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess


@contextmanager
def _main_left_out() -> Iterator[None]:
    """The main module is asked for by its spec or, without one, by its file (multiprocessing/spawn.py, `get_preparation_data`)."""
    main = vars(sys.modules["__main__"])
    held: dict[str, object] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main.update((name, None) for name in held)
    try:
        yield
    finally:
        main.update(held)


class _Process(SpawnProcess):
    def start(self) -> None:
        with _main_left_out():
            super().start()


class Spawned(SpawnContext):
    """For pools whose work is in modules of memfold."""

    Process = _Process
