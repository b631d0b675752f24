"""Graph shards on a machine's own disk, with snapshots of them where every machine finds them.

    <local>/g0001/p0003                       the shard that this machine's worker writes
    <home>/projections/graph/g0001/p0003      the newest snapshot: a link into
    <home>/projections/graph/g0001/snapshots/p0003/000000004711-5f2c…

Oxigraph is a RocksDB, which wants a disk; what is on it is asked through workers only. A partition that moves to another machine is
opened there from the snapshot, and the log tells the rest. The link's place is where a worker without a local folder has its shard,
and where a rebuild puts what it built: what lies there is a shard in either case. It is read and replaced under its writer's lock.
"""

from __future__ import annotations

import fcntl
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from memfold.memory.errors import InvalidInput
from memfold.projections.durable import sync_directory, write_once
from memfold.projections.generations import Generations
from memfold.projections.graph import GraphShard
from memfold.projections.graph_files import copy_store, locked, offset_of
from memfold.projections.graph_snapshot import GraphSnapshot
from memfold.projections.graph_store import LOCK, STORE

SNAPSHOTS, ID = "snapshots", "id"
_LINKED = ".linked-"
KEPT = 2
"""Of a partition: the newest, and one that somebody may just be copying."""
WORTH_COPYING = 10_000
"""Records that a shard has to lie behind before it is copied anew: reading so many from the log takes a second or two."""


class LocalGraphs:
    """The shards of one machine below `folder`, for any thread. Raises OSError where a disk is full: then nothing has changed."""

    def __init__(self, folder: Path, generations: Generations) -> None:
        """Raises InvalidInput where the folder is another deployment's."""
        self._folder, self._generations = folder, generations
        self._published: dict[Path, Path] = {}
        """{shard: its newest snapshot}, since it was opened here: only for those equal names are equal files."""
        self._check_whose()

    def _check_whose(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._generations.folder.mkdir(parents=True, exist_ok=True)
        home = write_once(self._generations.folder / ID, uuid.uuid4().hex)
        if write_once(self._folder / ID, home) != home:
            raise InvalidInput(
                f"{self._folder} holds the graphs of another deployment than {self._generations.folder}; name a folder of its own "
                "(MEMFOLD_LOCAL_GRAPHS)"
            )

    def fetched(self, generation: str, partition: int) -> Path:
        """Where the shard is to be opened; copied from the newest snapshot if that is far ahead of it, or it is not there.

        Raises ShardLocked where another process has it.
        """
        path = self._folder / generation / f"p{partition:04d}"
        path.mkdir(parents=True, exist_ok=True)
        (path / LOCK).touch()
        with locked(path, fcntl.LOCK_EX):
            self._published.pop(path, None)
            mine = offset_of(path)
            while (found := self._newest(generation, partition)) is not None:
                snapshot, offset = found
                if mine is not None and offset < mine + WORTH_COPYING:
                    break
                with suppress(FileNotFoundError), locked(snapshot, fcntl.LOCK_SH):
                    # Gone meanwhile: there is a newer one.
                    copy_store(snapshot / STORE, path / STORE)
                    break
        return path

    def publish(self, shard: GraphShard) -> int | None:
        """Make what a shard of this folder holds now the newest snapshot; its offset, None where there is one as new.

        The shard stands still only while its files are linked on its own disk. They are copied to the home after that.
        """
        generation, partition = shard.path.parent.name, shard.partition
        last, found = self._published.get(shard.path), self._newest(generation, partition)
        if found is not None and found[1] >= shard.position().offset:
            return None
        folder = self._generations.path(generation) / SNAPSHOTS / shard.path.name
        folder.mkdir(parents=True, exist_ok=True)
        linked, new = self._folder / f"{_LINKED}{uuid.uuid4().hex}", folder / f".new-{uuid.uuid4().hex}"
        try:
            shard.copy(linked)
            offset = GraphSnapshot(linked).position.offset
            copy_store(linked / STORE, new / STORE, last / STORE if last else None)
            (new / LOCK).touch()
            sync_directory(new)
            snapshot = folder / f"{offset:012d}-{uuid.uuid4().hex[:8]}"
            new.rename(snapshot)
        finally:
            shutil.rmtree(linked, ignore_errors=True)
            shutil.rmtree(new, ignore_errors=True)
        self._point(generation, partition, snapshot)
        self._published[shard.path] = snapshot
        for old in sorted(folder.glob("[0-9]*"))[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return offset

    def _point(self, generation: str, partition: int, snapshot: Path) -> None:
        place = self._generations.shard_path(generation, partition)
        if place.is_dir() and not place.is_symlink():
            # What a rebuild put there, or a worker that had no folder of its own.
            with locked(place, fcntl.LOCK_EX):
                place.rename(snapshot.parent / f"{0:012d}-{uuid.uuid4().hex[:8]}")
        link = place.with_name(f".link-{uuid.uuid4().hex}")
        link.symlink_to(snapshot.relative_to(place.parent))
        link.replace(place)
        sync_directory(place.parent)

    def _newest(self, generation: str, partition: int) -> tuple[Path, int] | None:
        """A folder that stays what it is, and its offset; None where there is none, or none that can be read. Raises ShardLocked."""
        place = self._generations.shard_path(generation, partition)
        while True:
            try:
                snapshot = place.resolve(strict=True)
            except FileNotFoundError:
                return None
            try:
                with locked(snapshot, fcntl.LOCK_SH):
                    offset = offset_of(snapshot)
            except FileNotFoundError:
                if snapshot.exists():
                    return None
                continue
            return None if offset is None else (snapshot, offset)

    def tidy(self) -> None:
        """Remove what belongs to generations that are neither there nor served, and what a killed process left an hour ago."""
        wanted = {self._generations.served(), *self._generations.existing()}
        for found in self._folder.glob("g[0-9]*"):
            if found.name not in wanted:
                shutil.rmtree(found, ignore_errors=True)
        for found in self._folder.glob(f"{_LINKED}*"):
            if time.time() - found.stat().st_mtime > 3_600:
                shutil.rmtree(found, ignore_errors=True)


def check_not_a_snapshot(path: Path) -> None:
    """Raises InvalidInput where a shard that is to be written is a snapshot of another machine's."""
    if path.is_symlink():
        raise InvalidInput(
            f"{path} is a snapshot: the graphs of this home are on its machines' own disks. Set MEMFOLD_LOCAL_GRAPHS to a folder of this "
            "one, as its other workers have it; or, to have them in the home again, stop all and `memfold replay rebuild graph`"
        )
