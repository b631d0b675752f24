"""The archive's upkeep by hand: every topic and partition of a home, today's records too."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from memfold.memory.errors import ShardLocked
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_segments import read_covers
from memfold.projections.archive_standing import today
from memfold.schemas.partitions import KEPT


@dataclass(frozen=True, slots=True)
class Repacked:
    """Files of one partition; `after` None: a running worker has the partition."""

    topic: str
    partition: int
    before: int
    after: int | None


def repack(archive: Path, limit: int) -> list[Repacked]:
    """Merge what is archived into sorted files of up to `limit` bytes. Raises ShardDamaged, ArchiveNotWritten; what was merged stays."""
    found = []
    for topic in KEPT:
        for partition, cover in read_covers(archive, topic).items():
            after: int | None = None
            try:
                with closing(ArchiveShard(archive, topic, partition)) as shard:
                    while shard.merge(today(), limit, all_days=True)[0]:
                        pass
                after = len(read_covers(archive, topic)[partition])
            except ShardLocked:
                pass
            found.append(Repacked(topic, partition, len(cover), after))
    return found
