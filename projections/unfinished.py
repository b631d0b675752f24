"""A generation that is not whole yet: a mark beside its shards, from its beginning until it is served for the first time.

    <root>/vector/g0002/unfinished.json    {"built": [0, 2], "whole": false}

Shards keep their own positions; the mark only says that nobody may be sent here, and that a rebuild may take it up.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from memfold.projections.durable import replace_durably

FILE = "unfinished.json"


class Unfinished(Struct, frozen=True):
    """`built`: the partitions that came to the log's end once. `whole`: all did, and only the pointer has to move."""

    built: frozenset[int] = frozenset()
    whole: bool = False


def unfinished(generation: Path) -> Unfinished | None:
    """The mark of a generation, None where there is none. A mark that cannot be read is one of nothing built."""
    try:
        return msgspec.json.decode((generation / FILE).read_bytes(), type=Unfinished)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        return Unfinished()


def mark(generation: Path, how_far: Unfinished) -> None:
    """Write the mark durably in place of the one before."""
    replace_durably(generation / FILE, msgspec.json.encode(how_far))


def unmark(generation: Path) -> None:
    """It is served; where there is no mark, nothing is done."""
    with suppress(FileNotFoundError):
        (generation / FILE).unlink()
