"""What stands at the offsets of a partition whose records a repartitioning moved to its siblings.

A log of more partitions keeps the offsets of the one that it was made of: a subject's records stand in its new partition at the
offsets that they had, and the offsets of all others are filled. So every position means what it meant, and so does the fence.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from memfold.schemas.partitions import ACCESS, partition_of_key
from memfold.schemas.records import LogRecord

ELSEWHERE = b"memfold: this record stands at the same offset of another partition\n"
"""The same bytes everywhere: they compress to nothing, and are told from a record by one comparison."""


def is_elsewhere(record: LogRecord) -> bool:
    return record.value == ELSEWHERE


def siblings(partition: int, was: int, now: int) -> range:
    """The partitions among `now` that have the subjects of one among `was`. `was` divides `now`."""
    return range(partition, now, was)


def moved(record: LogRecord, partition: int, was: int, now: int, everywhere: Collection[bytes]) -> LogRecord:
    """What stands in place of an old record in a sibling of its partition: itself, or that it is elsewhere.

    `everywhere`: the keys of whole tenants, whose commands and events every partition has to have, for they clear it.
    """
    if _stands_in(record, partition, was, now, everywhere):
        return replace(record, partition=partition)
    return replace(record, partition=partition, key=b"", value=ELSEWHERE)


def _stands_in(record: LogRecord, partition: int, was: int, now: int, everywhere: Collection[bytes]) -> bool:
    if record.key in everywhere and record.topic != ACCESS:
        return True
    own = partition_of_key(record.key, now)
    # What is not where its key belongs, nobody should have written: it stays where it is.
    return partition == (own if own % was == record.partition else record.partition)
