"""How far the building processes are: counters in shared memory, which the one that started them looks at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from typing import Any

EVERY = 0.25
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Records of the log that are in the shards, of how many in all; and what this run has done in how long."""

    records: int
    of: int
    memories: int
    """That this run folded, each counted once, whatever it was folded into."""
    seconds: float
    unit: str = "memories"

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.memories / self.seconds if self.seconds else 0.0


Watch = Callable[[Progress], None]


def unwatched(progress: Progress) -> None:
    """For who does not care."""


class Counters:
    """Two numbers for each of `of` parts: records that are in, and memories folded. One process writes each part."""

    def __init__(self, of: int) -> None:
        self.shared: Any = RawArray("q", 2 * of)

    def tell(self, part: int, records: int, memories: int) -> None:
        self.shared[2 * part] = records
        self.shared[2 * part + 1] += memories

    def progress(self, of: int, began: float) -> Progress:
        return Progress(sum(self.shared[::2]), of, sum(self.shared[1::2]), time.monotonic() - began)
