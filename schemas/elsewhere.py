"""What stands at the offsets of a partition whose records a repartitioning moved to its siblings.

A log of more partitions keeps the offsets of the one that it was made of: a subject's records stand in its new partition at the
offsets that they had, and the offsets of all others are filled. So every position means what it meant, and so does the fence.
"""

from __future__ import annotations

from msgspec.structs import replace

from memfold.schemas.codec import decode_envelope
from memfold.schemas.errors import Unreadable
from memfold.schemas.partitions import CLEARS, partition_of_key
from memfold.schemas.records import LogRecord

ELSEWHERE = b"memfold: this record stands at the same offset of another partition\n"
"""The same bytes everywhere: they compress to nothing, and are told from a record by one comparison."""


def is_elsewhere(record: LogRecord) -> bool:
    return record.value == ELSEWHERE


def siblings(partition: int, was: int, now: int) -> range:
    """The partitions among `now` that have the subjects of one among `was`. `was` divides `now`."""
    return range(partition, now, was)


def moved(record: LogRecord, partition: int, was: int, now: int) -> LogRecord:
    """What stands in place of an old record in a sibling of its partition: itself, or that it is elsewhere."""
    if _stands_in(record, partition, was, now):
        return replace(record, partition=partition)
    return replace(record, partition=partition, key=b"", value=ELSEWHERE)


def _stands_in(record: LogRecord, partition: int, was: int, now: int) -> bool:
    own = partition_of_key(record.key, now)
    if own % was == record.partition:
        return own == partition
    # Not where its key belongs: a clear of a whole tenant, which every partition has to have, or what nobody should have written.
    return _clears(record) or partition == record.partition


def _clears(record: LogRecord) -> bool:
    try:
        envelope, _, _ = decode_envelope(record.value)
    except Unreadable:
        return False
    return envelope.type == "clear_requested" or CLEARS in envelope.memory_ids
