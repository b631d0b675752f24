"""A stack for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memfold.serve.embedded import EmbeddedStack
from memfold.serve.settings import Settings, settings_from


@contextmanager
def running_in(home: Path, *, separate: bool = False, workers: int = 1, **given: Any) -> Iterator[Settings]:
    """The settings of a stack in `home`, which runs until the block ends. `given` as `settings_from` takes them."""
    settings = settings_from(home=home, **given)
    running = EmbeddedStack.start(settings, separate, workers)
    try:
        yield settings
    finally:
        running.stop()
