"""The files of the offline models are pinned: a changed model would change every later fact and vector."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from memfold.memory.errors import ModelFileChanged


def check(path: Path, expected: str) -> None:
    """Compare a model's file, or all files of its folder, with a SHA-256 in hex.

    Raises ModelFileChanged if it is missing or is not the one that was pinned.
    """
    if not path.exists():
        raise ModelFileChanged(f"the model file {path} is missing; reinstall its package")
    found = digest(path)
    if found != expected:
        raise ModelFileChanged(
            f"{path} has SHA-256 {found}, pinned is {expected}; "
            "reinstall its package at the version in constraints.txt"
        )


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over one line "<sha256>  <relative path>" a file, sorted by path."""
    if path.is_file():
        return sha256(path.read_bytes()).hexdigest()
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{sha256(file.read_bytes()).hexdigest()}  {name}\n" for name, file in files)
    return sha256(listing.encode()).hexdigest()
