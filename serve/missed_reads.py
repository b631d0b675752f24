"""Reads that were answered and whose event was not acknowledged: a line each in the home, so that `memfold status` can count them.

When, which verb, how many events, and why; nothing of whose memories they were or what was asked.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

logger = logging.getLogger(__name__)


class MissedReads:
    """Of all processes that use a home. Safe to share between threads."""

    def __init__(self, home: Path) -> None:
        self.path = home / "logs" / "missed-reads.log"

    def add(self, verb: str, why: Exception) -> None:
        """One read event is lost, or may be."""
        logger.warning("a %s was answered, and its read event was not acknowledged: %s", verb, why)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One short write at the end of a file: lines of several processes do not mix.
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {verb} {type(why).__name__}\n")

    def count(self) -> int:
        """How many there ever were in this home."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            return sum(1 for _ in file)
