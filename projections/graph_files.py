"""The files of a graph shard that nobody writes: how far it is, a copy of it, and the lock that keeps a writer away meanwhile."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memfold.memory.errors import ShardDamaged, ShardLocked
from memfold.projections.durable import sync_files
from memfold.projections.graph_snapshot import GraphSnapshot
from memfold.projections.graph_store import LOCK, STORE


def offset_of(path: Path) -> int | None:
    """Of a closed shard; None where none is, or where it cannot be read: it counts as missing then, and is made anew."""
    if not (path / STORE).is_dir():
        return None
    try:
        return GraphSnapshot(path).position.offset
    except ShardDamaged:
        return None


def copy_store(store: Path, to: Path, known: Path | None = None) -> None:
    """Replace the folder `to`. Tables of an earlier copy of the same lineage, `known`, are linked: RocksDB writes none twice."""
    new = to.with_name(f".copy-{uuid.uuid4().hex}")
    new.mkdir(parents=True)
    try:
        for found in store.iterdir():
            if found.name == "LOCK" or not found.is_file():
                continue
            same = None if known is None or found.suffix != ".sst" else known / found.name
            if same is None or not _linked(same, new / found.name, found.stat().st_size):
                shutil.copyfile(found, new / found.name)
        sync_files(new)
        shutil.rmtree(to, ignore_errors=True)
        new.rename(to)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _linked(known: Path, to: Path, size: int) -> bool:
    try:
        if known.stat().st_size != size:
            return False
        os.link(known, to)
    except OSError:
        # It is gone, or the file system has no links.
        return False
    return True


@contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """While this lasts no worker begins to write the shard. Raises ShardLocked where one does; FileNotFoundError."""
    with (path / LOCK).open("r") as lock:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise ShardLocked(
                f"{path} is open for writing elsewhere; stop that worker, or wait until it has gone"
            ) from held
        yield
