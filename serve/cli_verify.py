"""`memfold replay verify`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from memfold.replay.build import PROJECTIONS
from memfold.replay.compared import Compared
from memfold.replay.last_event import Traced
from memfold.replay.verify import Following, Verified
from memfold.schemas.partitions import EVENTS
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json, print_rows
from memfold.serve.cli_replay import From, Projections
from memfold.serve.replay_progress import named_projections, numbers_in, rebuilt_as_json, shown_progress
from memfold.serve.settings import settings_from
from memfold.serve.verifying import traced_in, verify_served

DIFFERS, REPAIRED = 1, 3
"""Exit statuses for whoever calls it every night; 0 where everything is equal."""
TOLD = 10
"""Differences of a shard that are printed; with --json ten times as many."""

_WHAT = {
    "missing": "is missing",
    "extra": "is there, and the log says nothing of it",
    "differs": "is not what the log says",
    "twice": "is there twice",
    "unreadable": "cannot be read",
    "not indexed": "is not found by a search",
}


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    projections: Projections = None,
    source: From = "kafka",
    home: Home = None,
    partitions: Annotated[str | None, typer.Option(help="Compare only these, e.g. 0,2-3.")] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Where a projection differs, serve what was built from the log instead."
        ),
    ] = False,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Build the projections aside from the log and compare them with what is served, which goes on serving meanwhile.

    Exit status 0 where everything is equal, 1 where something differs and still does, 3 where it differed and --repair mended it.
    What differs is told by partition, memory and the event that last made it, never with what people said.
    """
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    wanted = named_projections(projections, list(PROJECTIONS))
    only = numbers_in(partitions) if partitions is not None else None
    with shown_progress(quiet=as_json) as shown:
        following = Following(
            watch=shown.watch,
            compared=lambda one: shown.comparing(f"{one.projection}/{one.partition} {one.verdict}"),
        )
        found = verify_served(settings, source, wanted, only, repair, following)
    most = 10 * TOLD if as_json else TOLD
    events = [traced_in(settings, source, one, most) if one.differences else [] for one in found.compared]
    if as_json:
        print_json(
            {
                "equal": found.equal,
                "shards": [_as_json(one, told) for one, told in zip(found.compared, events, strict=True)],
                "repaired": [rebuilt_as_json(one) for one in found.repaired],
            }
        )
    else:
        _print(found, events)
    if not found.equal:
        raise typer.Exit(REPAIRED if found.repaired else DIFFERS)


def _print(found: Verified, events: list[list[Traced]]) -> None:
    rows: list[list[object]] = [
        [
            one.projection,
            one.partition,
            one.offset,
            one.verdict if one.equal else one.verdict.upper(),
            one.served[:16] or "-",
            one.built[:16],
        ]
        for one in found.compared
    ]
    print_rows(
        "served against log", ["projection", "partition", "offset", "", "served", "from the log"], rows
    )
    for one, told in zip(found.compared, events, strict=True):
        if not one.equal:
            _print_differences(one, told)
    if found.equal:
        return
    for repaired in found.repaired:
        console.print(
            f"{repaired.projection}: repaired; {repaired.generation} is served, built from the log, and what differed is removed",
            highlight=False,
            soft_wrap=True,
        )
    if not found.repaired:
        broken = [
            name
            for name in PROJECTIONS
            if any(one.projection == name and not one.equal for one in found.compared)
        ]
        console.print(
            f"what is served is not what the log says: `memfold replay verify {' '.join(broken)} --repair` serves what the log says",
            style="red",
            highlight=False,
            soft_wrap=True,
        )


def _print_differences(one: Compared, told: list[Traced]) -> None:
    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    say(f"{one.projection}/{one.partition}:")
    if one.damage:
        say(f"  damaged: {one.damage}")
    for each in told:
        say(f"  {_told(each, one.partition)}")
    if len(one.differences) > len(told):
        memories = len({each.memory_id for each in one.differences})
        say(
            f"  and {len(one.differences) - len(told):,} more, {memories:,} memories in all; --json tells more of them"
        )


def _told(each: Traced, partition: int) -> str:
    difference = each.difference
    whose = f"memory {difference.memory_id}" if difference.memory_id else "a memory that nothing names"
    fields = f" ({', '.join(difference.fields)})" if difference.fields else ""
    said = f"{whose}, {difference.part}{fields}: {_WHAT[difference.what]}"
    if difference.offset is None:
        return f"{said}; no event made it"
    at = f" at {each.recorded_at:%Y-%m-%d %H:%M:%S} UTC" if each.recorded_at else ""
    event = f"event {each.event_id}, " if each.event_id else ""
    return f"{said}; last made by {event}{EVENTS}/{partition} offset {difference.offset}{at}"


def _as_json(one: Compared, told: list[Traced]) -> dict[str, Any]:
    return {
        "equal": one.equal,
        "projection": one.projection,
        "partition": one.partition,
        "offset": one.offset,
        "served": one.served or None,
        "built": one.built,
        "damage": one.damage or None,
        "different": len(one.differences),
        "differences": [_difference_as_json(each) for each in told],
    }


def _difference_as_json(each: Traced) -> dict[str, Any]:
    one = each.difference
    return {
        "memory_id": one.memory_id or None,
        "part": one.part,
        "what": one.what,
        "fields": list(one.fields),
        "offset": one.offset,
        "event_id": each.event_id,
        "recorded_at": each.recorded_at.isoformat() if each.recorded_at else None,
    }
