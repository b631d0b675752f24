"""What a home knows of a repartitioning: the old one where its log went to, the new one which log it was made of.

<old home>/moved.json            `Moved`: nothing starts here any more, and what is open writes nothing
<new home>/repartitioning.json   begun and not ended: nothing starts here yet
<new home>/repartitioned.json    ended: `Repartitioned`, the map of positions and what proves it
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from memfold.audit.checkpoints import TreeName
from memfold.audit.findings import Report
from memfold.memory.errors import InvalidInput, RestoreRefused, ShardDamaged
from memfold.projections.durable import replace_durably
from memfold.schemas.elsewhere import siblings

if TYPE_CHECKING:
    from memfold.projections.archive_source import ArchiveSource
    from memfold.replay.repartitioning import ReadOf

MOVED, BEGUN, WHOLE = "moved.json", "repartitioning.json", "repartitioned.json"


class Moved(Struct, frozen=True):
    """Where the log of this home went. `cluster`, `servers`: the new home's Kafka by its own id, and where it is; empty if embedded."""

    into: str
    partitions: int
    cluster: str = ""
    servers: str = ""

    @property
    def up(self) -> str:
        """What serves the new home."""
        kafka = f"MEMFOLD_BOOTSTRAP_SERVERS={self.servers} " if self.servers else ""
        return f"`{kafka}memfold up --home {self.into}`"


class OldTree(Struct, frozen=True):
    """A partition of the old log as it was moved: `size` records, and their Merkle root in hex, which is that of its seal of this size."""

    topic: str
    partition: int
    size: int
    root: str


class Repartitioned(Struct, frozen=True):
    """The map: a record of (old partition p, offset o) stands at o of the one partition among p, p + was, p + 2 was ... that its key names.

    In all of these where it clears a whole tenant. `at`: when, ISO 8601.
    """

    home: str
    was: int
    now: int
    at: str
    trees: list[OldTree]

    def ends(self) -> dict[tuple[str, int], int]:
        """By topic and new partition: the offset before which records may stand in another partition."""
        return {
            (tree.topic, partition): tree.size
            for tree in self.trees
            for partition in range(tree.partition, self.now, self.was)
        }


T = TypeVar("T", Moved, Repartitioned)


def moved_from(home: Path) -> Moved | None:
    """Where the log of a home went; None where it is its own."""
    return _read(home / MOVED, Moved)


def made_from(home: Path) -> Repartitioned | None:
    """Which log the one of a home was made of; None where it began here."""
    return _read(home / WHOLE, Repartitioned)


def _read(path: Path, kind: type[T]) -> T | None:
    """Raises InvalidInput for a file that is none of ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as wrong:
        raise InvalidInput(
            f"{path} cannot be read ({wrong}); it says where positions went, so restore it from a copy"
        ) from wrong


def write(path: Path, value: Moved | Repartitioned) -> None:
    """Durable, in one step."""
    replace_durably(path, msgspec.json.format(msgspec.json.encode(value), indent=1))


def check_not_moved(home: Path) -> None:
    """Raises InvalidInput where nothing may start: the log went elsewhere, or is not whole yet."""
    gone = moved_from(home)
    if gone is not None:
        topics = f" with the topics memfold.* at {gone.servers}" if gone.servers else ""
        raise InvalidInput(
            f"the log of {home} was repartitioned into {gone.into} and is kept here as it was: {gone.up}. What is written here would be "
            f"missing there. To give the other one up before anything is written to it, remove it{topics} and {home / MOVED}"
        )
    if (home / BEGUN).exists():
        raise InvalidInput(
            f"{home} is being made by a repartitioning that has not ended: run the same `memfold replay repartition` again, it goes on"
        )


def check_made(made: Repartitioned, archive: Path, everywhere: Collection[bytes], report: Report) -> None:
    """The old trees, grown out of the archived partitions that they became, against the roots that were recorded.

    `everywhere`: the record keys of whole tenants.
    """
    # What reads Parquet takes longer to import than `memfold down` takes, and every start asks this file where the log is.
    from memfold.projections.archive_source import ArchiveSource
    from memfold.replay.repartitioning import old_roots

    source = ArchiveSource(archive)
    for tree in made.trees:
        name = TreeName(tree.topic, tree.partition)
        parts = siblings(tree.partition, made.was, made.now)
        if any(source.position(tree.topic, part) + 1 < tree.size for part in parts):
            # Not archived so far; that it is missing is said where the records are counted.
            continue
        try:
            (root,) = old_roots(
                {(tree.topic, tree.partition): tree.size}, _reads(source), made.was, made.now, everywhere
            ).values()
        except ShardDamaged as damage:
            report.add("file", str(damage), name)
            continue
        except RestoreRefused as differ:
            report.add("root", str(differ), name)
            continue
        if root.hex() != tree.root:
            said = f"{name} of the log before it was repartitioned: the partitions {list(parts)} do not give its {tree.size} records"
            report.add("root", said, name, offset=0, last=tree.size - 1)


def _reads(source: ArchiveSource) -> ReadOf:
    return lambda topic, partition, end: source.batches(topic, partition, 0, end - 1)
