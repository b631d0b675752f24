"""When the disk is full: what that looks like in each store, and how much has to be free for a new generation."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path

from memfold.memory.errors import NoRoom
from memfold.projections.generations import Generations


def is_full(failure: BaseException) -> bool:
    """Whether a store failed for want of space. Oxigraph and librdkafka only say so in words."""
    number = failure.errno if isinstance(failure, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(failure)


def no_room(generations: Mapping[str, Generations]) -> NoRoom:
    """To be made when what was half built has gone: how much a new generation needs, and how much is free."""
    needed = sum(_size(each.path(each.served())) for each in generations.values())
    previous = {name: each.previous() for name, each in generations.items()}
    folder = next(iter(generations.values())).path("g0001").parent.parent
    free = shutil.disk_usage(folder).free
    there = [str(generations[name].path(old)) for name, old in previous.items() if old is not None]
    hint = f"; {' and '.join(there)} may go, if you need no rollback" if there else ""
    return NoRoom(
        errno.ENOSPC,
        f"no room for a new generation of {' and '.join(generations)}: the served one takes {_megabytes(needed)}, "
        f"{_megabytes(free)} are free. What was half built is removed and what is served is untouched; have twice as much "
        f"free as the served one takes, then call again{hint}",
        str(folder),
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
