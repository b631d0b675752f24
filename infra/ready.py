"""How a worker says that it is ready: a file `<home>/run/<role>.ready` that holds its pid."""

from __future__ import annotations

import os
from pathlib import Path

from memfold.infra.home import write_private


def announce_ready(home: Path, role: str) -> None:
    """To be called by the worker once it does its work. The supervisor removes the file before each start."""
    write_private(_file(home, role), f"{os.getpid()}\n".encode())


def is_ready(home: Path, role: str, pid: int) -> bool:
    """Whether the worker with this pid has announced itself; an announcement of an earlier one does not count."""
    try:
        return _file(home, role).read_text(encoding="ascii").strip() == str(pid)
    except FileNotFoundError:
        return False


def withdraw_ready(home: Path, role: str) -> None:
    """Forget that a worker of this role was ready."""
    _file(home, role).unlink(missing_ok=True)


def _file(home: Path, role: str) -> Path:
    return home / "run" / f"{role}.ready"
