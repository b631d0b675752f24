"""Segments: the archive's files, named for exactly what they hold, and the choice among them that is the log.

    <root>/<topic>/<topic>-<partition>-<first offset>-<last offset>.parquet

The name is the position: a file appears under it complete or not at all, so data and position are one step. Where a crash left
a file beside the longer one that replaced it, the longer one counts (see `cover`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from memfold.memory.errors import InvalidInput, ShardDamaged

_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_NAME = re.compile(r"(?P<topic>.+)-(?P<partition>\d{5,})-(?P<first>\d{20})-(?P<last>\d{20})\.parquet")


@dataclass(frozen=True, slots=True)
class Segment:
    """One file: the records of a partition from offset `first` to `last`, both included."""

    directory: Path
    topic: str
    partition: int
    first: int
    last: int

    @property
    def path(self) -> Path:
        name = f"{self.topic}-{self.partition:05d}-{self.first:020d}-{self.last:020d}.parquet"
        return self.directory / name

    @property
    def rows(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.path} ({self.topic}/{self.partition}, offsets {self.first} to {self.last})"


def topic_directory(root: Path, topic: str) -> Path:
    """Where a topic's segments are. Raises InvalidInput for a name that Kafka would not accept, such as a path."""
    if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise InvalidInput(
            f"{topic!r} is not a topic name; it may hold letters, digits, '.', '_' and '-' only"
        )
    return root / topic


def segments(root: Path, topic: str) -> list[Segment]:
    """Every segment file of a topic, leftovers included, by partition and offset."""
    directory = topic_directory(root, topic)
    if not directory.is_dir():
        return []
    listed, before = set(os.listdir(directory)), None
    # A listing is no snapshot: it can miss both a segment that is being replaced and its replacement. Two in a row do not.
    while listed != before:
        listed, before = set(os.listdir(directory)), listed
    names = (_NAME.fullmatch(name) for name in listed)
    found = [
        Segment(directory, topic, int(name["partition"]), int(name["first"]), int(name["last"]))
        for name in names
        if name and name["topic"] == topic
    ]
    return sorted(found, key=lambda segment: (segment.partition, segment.first, segment.last))


def cover(found: Iterable[Segment]) -> list[Segment]:
    """The segments of one partition that hold offset 0 to the last one, each offset once: always the longest that fits.

    Raises ShardDamaged where offsets are missing, or where segments overlap as no crash leaves them. It cannot know of records
    after the last segment that there is.
    """
    found = sorted(found, key=lambda segment: (segment.first, segment.last))
    longest = {segment.first: segment for segment in found}
    chosen: list[Segment] = []
    position = -1
    while position + 1 in longest:
        chosen.append(longest[position + 1])
        position = chosen[-1].last
    for segment in found:
        if segment.first > position:
            raise ShardDamaged(
                f"{segment.topic}/{segment.partition}: no segment in {segment.directory} holds the offsets {position + 1} to "
                f"{segment.first - 1}; the next one is {segment.path.name}. Restore the missing file, or archive the topic again"
            )
        if segment.last > position:
            raise ShardDamaged(
                f"{segment} overlaps other segments, which hold the offsets up to {position}; "
                "one of them was not written by memfold: verify each and remove it"
            )
    return chosen


def read_covers(root: Path, topic: str) -> dict[int, list[Segment]]:
    """The cover of each partition of a topic, while other processes may be writing to them. Raises ShardDamaged."""
    found = groupby(segments(root, topic), key=lambda segment: segment.partition)
    return {partition: cover(own) for partition, own in found}
