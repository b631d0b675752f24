"""How a rebuild is told on a terminal: a bar with rate and time left, or a line now and then where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from memfold.memory.errors import InvalidInput
from memfold.replay.build import PROJECTIONS, BuiltShard
from memfold.replay.progress import Progress as Built
from memfold.replay.rebuild import Rebuilt
from memfold.serve.cli_options import console

LINE_EVERY = 5.0
"""Seconds between two lines where there is no terminal."""


class Shown:
    """What a rebuild tells while it runs. `bar` is None where only lines can be printed; `quiet` prints nothing."""

    def __init__(self, bar: Progress | None, quiet: bool) -> None:
        self._bar, self._quiet = bar, quiet
        self._task = None if bar is None else bar.add_task("reading the log", total=None, rate="")
        self._last, self._first = time.monotonic(), -1

    def watch(self, built: Built) -> None:
        rate = f"{built.rate:,.0f} {built.unit}/s"
        if self._first < 0:
            self._first = built.records
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=built.records, total=built.of, rate=rate)
        elif not self._quiet and time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            console.print(
                f"  {built.records:,} of {built.of:,} records, {rate}{self._left(built)}", highlight=False
            )

    def _left(self, built: Built) -> str:
        done = built.records - self._first
        return f", {(built.of - built.records) * built.seconds / done:,.0f} s left" if done > 0 else ""

    def comparing(self, what: str) -> None:
        """Behind the bar, which is full by then: the shard that was compared last."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description="comparing", rate=what)

    def done(self, built: BuiltShard) -> None:
        if not self._quiet:
            print_built(built)


@contextmanager
def shown_progress(quiet: bool) -> Iterator[Shown]:
    if quiet or not console.is_terminal:
        yield Shown(None, quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield Shown(bar, quiet)


def print_built(built: BuiltShard) -> None:
    taken_up = f", taken up at offset {built.begun_at}," if built.begun_at else ""
    console.print(
        f"  {built.task.projection}/{built.task.partition}: {built.position.applied} events{taken_up} in "
        f"{built.seconds:.1f} s{f', digest {built.digest[:16]}' if built.digest else ''}",
        highlight=False,
    )


def print_rebuilt(one: Rebuilt) -> None:
    if one.served:
        console.print(f"{one.projection}: serving {one.generation}", highlight=False)
        return
    console.print(
        f"{one.projection}: {one.generation} is half built; it is served once the other partitions are built too",
        highlight=False,
    )


def rebuilt_as_json(one: Rebuilt) -> dict[str, object]:
    shards = [
        {
            "partition": built.task.partition,
            "offset": built.position.offset,
            "applied": built.position.applied,
            "ignored": built.position.ignored,
            "quarantined": built.position.quarantined,
            "erased": built.position.erased,
            "digest": built.digest or None,
            "seconds": round(built.seconds, 3),
        }
        for built in one.shards
    ]
    return {
        "projection": one.projection,
        "generation": one.generation,
        "served": one.served,
        "shards": shards,
    }


def named_projections(names: Sequence[str] | None, unnamed: list[str]) -> list[str]:
    """Those that are meant: "all" is every one, nothing is `unnamed`."""
    return list(PROJECTIONS) if names and "all" in names else list(dict.fromkeys(names or unnamed))


def numbers_in(text: str) -> list[int]:
    """The numbers of "0,2-3". Raises InvalidInput."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InvalidInput(f"{text!r} does not name partitions; name them like 0,2-3")
        found.update(range(int(first), int(last or first) + 1))
    return sorted(found)
