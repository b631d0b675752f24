"""How an import or an ingest is told on a terminal: one line that changes, or a line now and then where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, TextColumn

from memfold.serve.cli_options import console
from memfold.serve.replay_progress import LINE_EVERY


@contextmanager
def shown_line(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Gives what shows a line. `quiet`: it shows nothing."""
    last = time.monotonic()
    bar = Progress(TextColumn("{task.description}"), console=console, transient=True, disable=quiet)

    def show(line: str) -> None:
        nonlocal last
        bar.update(task, description=line)
        if not (quiet or console.is_terminal) and time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            console.print(f"  {line}", highlight=False)

    with bar:
        task = bar.add_task("reading", total=None)
        yield show
