"""A kept copy of an archive taken into a home: segment by segment, each whole or not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from memfold.memory.errors import InvalidInput, RestoreRefused
from memfold.projections.archive_files import temporary_path
from memfold.projections.archive_segments import Segment, read_covers, segments, topic_directory
from memfold.projections.durable import sync_directory
from memfold.schemas.partitions import KEPT


def take_in(archive: Path, home: Path) -> int:
    """Copy the segments that `home` lacks; how many. After a kill it may be run again.

    Raises InvalidInput for a folder without an archive, ShardDamaged for one with holes, RestoreRefused where `home` has others.
    """
    covers = {topic: read_covers(archive, topic) for topic in KEPT}
    wanted = [segment for cover in covers.values() for found in cover.values() for segment in found]
    if not wanted:
        raise InvalidInput(f"{archive} holds no archive: no folder {' or '.join(KEPT)} with segments in it")
    if archive.resolve() == home.resolve():
        return 0
    names = {segment.path.name for segment in wanted}
    for topic in KEPT:
        for other in segments(home, topic):
            if other.path.name not in names:
                raise RestoreRefused(
                    f"{home} has {other.path.name}, which is not in {archive}: move one of the two archives away, or restore from {home}"
                )
    missing = [one for one in wanted if not (topic_directory(home, one.topic) / one.path.name).exists()]
    for segment in missing:
        _copy(segment, topic_directory(home, segment.topic))
    return len(missing)


def _copy(segment: Segment, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    copied = Segment(folder, segment.topic, segment.partition, segment.first, segment.last)
    temporary = temporary_path(copied)
    with segment.path.open("rb") as source, temporary.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    temporary.rename(copied.path)
    sync_directory(folder)
