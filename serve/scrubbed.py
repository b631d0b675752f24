"""What a worker's scrub has found so far: for `memfold status`, for metrics, and for its own log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from memfold.projections.difference import Difference

Place = tuple[str, int]
"""(projection, partition)"""


class ScrubbedShard(Struct, frozen=True):
    """How far a scrub is with one shard. `whole_at`: when it last came to the end of all slices, seconds since 1970; None: not yet."""

    projection: str
    partition: int
    slices: int
    scrubbed: int
    whole_at: float | None = None
    differences: Sequence[Difference] = ()


class Scrubbed(Struct, frozen=True):
    """The shards of one worker. `refused`: why it cannot be done now; "" where it can."""

    shards: Sequence[ScrubbedShard] = ()
    slices: int = 0
    """Compared since the worker started, of whichever shard."""
    refused: str = ""


def summed(scrubs: Iterable[Scrubbed]) -> dict[str, Any] | None:
    """The scrubs of several workers as `memfold status --json` prints them; None where nobody scrubs."""
    all_of_them = list(scrubs)
    shards = [shard for one in all_of_them for shard in one.shards]
    if not shards and not any(one.refused for one in all_of_them):
        return None
    whole = [shard.whole_at for shard in shards]
    return {
        "shards": len(shards),
        "whole": sum(at is not None for at in whole),
        "whole_since": None if None in whole or not whole else min(at for at in whole if at is not None),
        "refused": next((one.refused for one in all_of_them if one.refused), None),
        "differences": [
            {
                "projection": shard.projection,
                "partition": shard.partition,
                "memory_id": one.memory_id or None,
                "part": one.part,
                "what": one.what,
                "offset": one.offset,
            }
            for shard in shards
            for one in shard.differences
        ],
    }
