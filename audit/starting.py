"""Where a follower of the events takes up each partition, found in the archive and the log behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from memfold.audit.bounds import millis
from memfold.audit.fence import fence_before
from memfold.audit.full_log import FullLog
from memfold.audit.snapshot import Snapshot
from memfold.memory.errors import InvalidInput
from memfold.memory.watching import Start


def starts(log: FullLog, places: Mapping[int, int | None], since: datetime | None) -> dict[int, Start]:
    """Of each partition its offset; if that is None the first at a moment, by the broker's clock, or the end of the log without one.

    Raises InvalidInput for an offset that the log never came to, ShardDamaged, LogTruncated, BrokerUnreachable.
    """

    def inside(snapshot: Snapshot) -> dict[int, Start]:
        ends = snapshot.end()
        begin: Sequence[int] = ends
        if since is not None and None in places.values():
            begin = snapshot.ends(millis(since))
        found: dict[int, Start] = {}
        for partition, place in places.items():
            offset = _last(begin, partition) + 1 if place is None else place
            if offset > _last(ends, partition) + 1:
                raise InvalidInput(
                    f"since lies at offset {offset} of partition {partition}, and the log ends at {_last(ends, partition)}: "
                    "it is a position in another log, or in one that was lost; pass a moment, or leave it out"
                )
            found[partition] = Start(offset, fence_before(snapshot, partition, offset, log.keys))
        return found

    return log.events.ask(inside)


def _last(ends: Sequence[int], partition: int) -> int:
    return ends[partition] if partition < len(ends) else -1
