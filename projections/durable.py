"""Small files replaced, or made, in one step and for good: after a crash or a power cut the old content stands there, or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import mkstemp


def replace_durably(path: Path, content: bytes) -> None:
    """Write beside `path`, sync, rename over it, sync the folder. Two writers do not meet: each has a file of its own."""
    handle, written = mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(written, path)
    sync_directory(path.parent)


def write_once(path: Path, content: str) -> str:
    """A file's text, for its owner only: `content`, durably, where it was not there. Of two that write it at once one counts, for both."""
    if not path.exists():
        handle, mine = mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(mine, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(mine)
        sync_directory(path.parent)
    return path.read_text(encoding="utf-8")


def sync_files(path: Path) -> None:
    """Makes the files of a folder, and their names, outlive a power cut."""
    for found in path.iterdir():
        if found.is_file():
            with found.open("rb") as file:
                os.fsync(file.fileno())
    sync_directory(path)


def sync_directory(path: Path) -> None:
    """Makes renames in a folder outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
