"""When the table of a vector shard is due for upkeep: small files merged, indices brought up to date, old versions removed.

Each commit leaves a small file that no index knows yet; a search takes 0.1 to 0.3 ms longer for each. LanceDB's `optimize` puts
them together, but writes the whole table again below a million rows, so its cost grows with the table.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

COMMITS = 64
"""Commits after which upkeep is due, unless it would then take more than a tenth of the time."""
ROWS = 10_000
"""Rows after which it is due, or as many as there were: in a rebuild the table is written twice in all, not once a batch."""
SHARE = 10
KEEP = timedelta(minutes=5)
"""How long a reader may stay on an old version of the table; it needs milliseconds."""


class Optimizable(Protocol):
    def optimize(self, *, cleanup_older_than: timedelta | None, delete_unverified: bool) -> object: ...


@dataclass(slots=True)
class Upkeep:
    """Counts what was written since the last time."""

    rows_then: int
    commits: int = 0
    rows: int = 0
    took: float = 0.0
    ended: float = field(default_factory=time.monotonic)

    def written(self, rows: int) -> None:
        self.commits += 1
        self.rows += rows

    def due(self) -> bool:
        idle = time.monotonic() - self.ended
        return self.pouring() or (self.commits >= COMMITS and idle >= SHARE * self.took)

    def pouring(self) -> bool:
        """Whether so much came that the table is put in order for it alone; more will follow."""
        return self.rows >= max(ROWS, self.rows_then)

    def worthwhile(self) -> bool:
        """Whether there is enough to do that a shard should not be left like this."""
        return self.rows >= max(1, self.rows_then // 10) or self.commits >= COMMITS // 4

    def run(self, table: Optimizable, keep: timedelta = KEEP) -> None:
        """From the only writer's own handle: what no version names and is older than `keep` is left of a crash, and goes too."""
        began = time.monotonic()
        table.optimize(cleanup_older_than=keep, delete_unverified=True)
        self.ended = time.monotonic()
        self.took = self.ended - began
        self.rows_then += self.rows
        self.commits = self.rows = 0
