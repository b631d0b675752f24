"""What was once read out of segments, which never change: so a question looks only at the segments that are new to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Mark:
    """A row that may matter to a memory: it names the memory, or it clears a scope in the tenant. Not authenticated yet."""

    partition: int
    offset: int
    subject: str
    named: bool


@dataclass(slots=True)
class Seen:
    """By segment: the (tenant, mark) of every row that clears something, and the offsets of rows with their command offsets.

    16 bytes a record are kept, 16 MB for a million.
    """

    clears: dict[Path, list[tuple[str, Mark]]] = field(default_factory=dict)
    commands: dict[Path, tuple[Offsets, Offsets]] = field(default_factory=dict)
