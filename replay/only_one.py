"""One rebuild at a time: two would take up the same half generation, and each would remove what the other builds."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from memfold.memory.errors import RebuildRunning

FILE = "rebuild.lock"


@contextmanager
def only_one(projections: Path, doing: str) -> Iterator[None]:
    """Hold the projections in this folder against other rebuilds. Raises RebuildRunning at once, naming the process that has them.

    The lock is the kernel's: it goes when its holder dies, however it dies. What stands in the file is for people.
    """
    projections.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(projections / FILE, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            holder = file.read().strip() or "another process"
            raise RebuildRunning(f"{holder} has {projections}; wait until it is done, or stop it") from taken
        file.truncate(0)
        file.write(f"`{doing}` of process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC,")
        file.flush()
        yield
        file.truncate(0)
