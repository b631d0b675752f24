"""A log of more partitions out of a log of fewer: the same records at the same offsets, each in the partition of its subject now.

With `was` a divisor of `now`, the subjects of a new partition all come from one old partition. So its records keep their order and
their offsets, and what its siblings have leaves a record that says so (schemas/elsewhere.py). The map from old positions to new ones is
therefore a rule, and the old trees can be grown again out of the new ones: that is the proof that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from msgspec.structs import replace

from memfold.audit.merkle import CompactRange
from memfold.memory.errors import InvalidInput, RestoreRefused
from memfold.projections.archive_rows import leaf_hash
from memfold.schemas.elsewhere import is_elsewhere, moved, siblings
from memfold.schemas.partitions import Tree
from memfold.schemas.records import LogRecord

ReadOf = Callable[[str, int, int], Iterator[list[LogRecord]]]
"""The records of (topic, partition) from offset 0 to before an end."""

ADVICE = (
    "a repartitioning writes into a home of its own, or goes on with one that was interrupted. If nothing in it is wanted, remove that "
    "folder, and the topics memfold.* where its Kafka is one of your own, and begin again"
)


class OldLog(Protocol):
    """Kafka, as LogReader reads it."""

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]: ...


def check_counts(was: int, now: int) -> None:
    """Raises InvalidInput unless each new partition gets the subjects of one old partition."""
    if now <= was or now % was:
        raise InvalidInput(
            f"{was} partitions cannot become {now}: it must be a multiple, {2 * was} or {4 * was}, so that each new partition has "
            "subjects of one old partition only, and every record keeps its offset"
        )


class MovedLog:
    """The old log as the new partitions hold it. `ends`: up to where, by old topic and partition; `everywhere` as in `moved`."""

    def __init__(
        self, old: OldLog, ends: dict[Tree, int], was: int, now: int, everywhere: Collection[bytes]
    ) -> None:
        self._old, self._ends, self._was, self._now = old, ends, was, now
        self._everywhere = everywhere

    def position(self, topic: str, partition: int) -> int:
        """Offset of the last record, -1 for none."""
        return self._ends[topic, partition % self._was] - 1

    def batches(self, topic: str, partition: int, first: int = 0) -> Iterator[list[LogRecord]]:
        """The records from offset `first` on. Raises LogTruncated, BrokerUnreachable."""
        own = partition % self._was
        for records in self._old.read(topic, own, first, self._ends[topic, own]):
            yield [moved(record, partition, self._was, self._now, self._everywhere) for record in records]


def roots_of(ends: dict[Tree, int], read: ReadOf) -> dict[Tree, bytes]:
    """The Merkle root of each tree up to its end: what a seal of that size signs."""
    found: dict[Tree, bytes] = {}
    for (topic, partition), end in ends.items():
        grown = CompactRange()
        for records in read(topic, partition, end):
            grown.extend([leaf_hash(record.value) for record in records])
        found[topic, partition] = grown.root()
    return found


def old_roots(
    ends: dict[Tree, int], read: ReadOf, was: int, now: int, everywhere: Collection[bytes]
) -> dict[Tree, bytes]:
    """The same of the old trees, grown out of the partitions that they became.

    Raises RestoreRefused where a record stands in none of them, or in another one than it should.
    """

    def old(topic: str, partition: int, end: int) -> Iterator[list[LogRecord]]:
        parts = siblings(partition, was, now)
        sources = [(record for batch in read(topic, part, end) for record in batch) for part in parts]
        for same_offset in zip(*sources, strict=True):
            here = next((one for one in same_offset if not is_elsewhere(one)), same_offset[0])
            one = replace(here, partition=partition)
            if same_offset != tuple(moved(one, part, was, now, everywhere) for part in parts):
                raise RestoreRefused(_misplaced(topic, parts, here.offset))
            yield [one]

    return roots_of(ends, old)


def _misplaced(topic: str, parts: Sequence[int], offset: int) -> str:
    return (
        f"{topic}: what was one record at offset {offset} does not stand where it should among the partitions "
        f"{', '.join(map(str, parts))}; {ADVICE}"
    )
