"""Generations that are built aside to be compared with: nobody takes them up, and they go when they were looked at.

<root>/vector/g0003/aside            the mark, from the first moment
<root>/vector/g0003/p0001            the shard, built from the log
<root>/vector/g0003/served/p0001     the served shard as it stood when the verification began
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from memfold.projections.generations import COPIES, Generations
from memfold.projections.unfinished import Unfinished, mark

FILE = "aside"


def is_aside(generation: Path) -> bool:
    return (generation / FILE).exists()


@contextmanager
def aside(generations: Mapping[str, Generations]) -> Iterator[dict[str, str]]:
    """New generations, {projection: name}, that are removed at the end unless `to_be_served` took them out of here.

    What a verification left that was killed is removed first; nobody else may verify meanwhile (`only_one`).
    """
    for each in generations.values():
        _remove_all(each)
    made: dict[str, str] = {}
    try:
        for name, each in generations.items():
            made[name] = each.create_next()
            (each.path(made[name]) / FILE).touch()
        yield made
    finally:
        for each in generations.values():
            _remove_all(each)


def to_be_served(generation: Path) -> None:
    """What was built aside becomes a half-built generation, which a rebuild may take up."""
    shutil.rmtree(generation / COPIES, ignore_errors=True)
    mark(generation, Unfinished())
    (generation / FILE).unlink()


def _remove_all(each: Generations) -> None:
    for name in each.existing():
        if is_aside(each.path(name)) and name != each.served():
            each.remove(name)
