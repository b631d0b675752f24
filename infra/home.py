"""A stack's home directory: made private, written atomically, held by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from memfold.infra.errors import StackRunning

FOLDERS = ("run", "logs", "kafka")


def prepare_home(home: Path) -> Path:
    """Make the home and its folders, readable by their owner only; returns its absolute path. Leaves an existing home's mode."""
    home = home.expanduser().absolute()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in FOLDERS:
        (home / name).mkdir(mode=0o700, exist_ok=True)
    return home


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` in one step by a file of mode 0600: a reader sees the old content or the new one, never a part."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.replace(path)


@contextmanager
def held(lock: Path, who: str, taken: Callable[[str], Exception]) -> Iterator[None]:
    """Hold a lock file against every other process; at once raises what `taken` makes of the one that has it, "" if it is not said.

    The lock is the kernel's: it goes when its holder dies, however it dies. `who` stands in the file for people.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as blocked:
            raise taken(file.read().strip()) from blocked
        file.truncate(0)
        file.write(who)
        file.flush()
        yield
        file.truncate(0)


def only_one(home: Path) -> AbstractContextManager[None]:
    """Hold the home against every other process. Raises StackRunning at once, naming who holds it."""
    return held(
        home / "run" / "lock",
        f"{os.getpid()}\n",
        lambda holder: StackRunning(
            f"{home} is in use by process {holder or 'unknown'}: use that stack, stop it, or choose another home"
        ),
    )
