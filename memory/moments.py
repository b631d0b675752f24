"""Moments that a question is asked of: "what would have been answered then".

Two times are kept. When the log learnt of something (the broker's clock) decides what would have been answered: that is `as_of`.
When it was true, if that was said, stands beside the answer and can be filtered by: that is `valid_at`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from memfold.memory.errors import InvalidInput
from memfold.memory.messages import checked_time

CLOCKS_DIFFER = timedelta(seconds=5)
"""How far a caller's clock may be ahead of this one before its "now" counts as the future."""

_NOTHING_YET = datetime(1970, 1, 1, tzinfo=UTC)


def checked_moment(as_of: object, name: str = "as_of") -> datetime | None:
    """A moment in the past, None for now. Raises InvalidInput, InvalidType; also for one that is still to come.

    What will be known then nobody can say yet, and an answer about the past has to stay the same.
    """
    moment = checked_time(as_of, name)
    if moment is None:
        return None
    now = datetime.now(UTC)
    if moment > now + CLOCKS_DIFFER:
        raise InvalidInput(
            f"{name} {moment.isoformat()} is still to come (now it is {now.isoformat(timespec='seconds')}); "
            "leave it out to ask for now"
        )
    return max(moment, _NOTHING_YET)
