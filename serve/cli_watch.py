"""`memfold watch`: every change of a scope as it is decided."""

import json
import signal
from types import FrameType
from typing import Annotated, Any

import typer

from memfold.memory.waited_watch import Watch
from memfold.serve.cli_memory import Filters, checked_object
from memfold.serve.cli_options import Agent, Bootstrap, Home, Run, User, console
from memfold.serve.stopping import STOPPING
from memfold.synchronous import Memory


def register(app: typer.Typer) -> None:
    app.command("watch")(watch)


def watch(
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    filters: Filters = None,
    since: Annotated[
        str | None,
        typer.Option(help="A change's position, to go on after it, or a moment: 2026-03-03T10:00Z."),
    ] = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Print every change of a user, agent or run as it is decided, until interrupted; then the position to go on from."""
    with (
        Memory(home=home, bootstrap_servers=bootstrap_servers) as memory,
        memory.watch(
            user_id=user,
            agent_id=agent,
            run_id=run,
            filters=checked_object("--filters", filters),
            since=since,
        ) as changes,
    ):
        _stop_when_told(changes)
        for change in changes:
            if as_json:
                typer.echo(json.dumps(change, ensure_ascii=False))
            else:
                console.print(_line(change), markup=False, highlight=False, soft_wrap=True)
        typer.echo(f"to go on: --since {changes.position}", err=True)


def _stop_when_told(changes: Watch) -> None:
    """By Ctrl-C, `kill` or a container's stop: what is printed is whole, and it says where it was. A second one interrupts.

    KeyboardInterrupt would come in between any two steps, also where another thread's lock is let go, and then nothing ever ends.
    """

    def told(number: int, frame: FrameType | None) -> None:
        for each in STOPPING:
            signal.signal(each, signal.default_int_handler)
        changes.stop()

    for each in STOPPING:
        signal.signal(each, told)


def _line(change: dict[str, Any]) -> str:
    whose = " ".join(change[name] for name in ("user_id", "agent_id", "run_id") if name in change)
    words = change["memory"] or " ".join(change.get("ids", ()))
    before = f" (was: {change['previous_memory']})" if change.get("previous_memory") else ""
    relations = [
        f"\n    {sign} {one['source']} {one['relationship']} {one['target']}"
        for kind, sign in (("relations", "+"), ("ended_relations", "-"))
        for one in change.get(kind, ())
    ]
    line = [change["at"][:19], f"{change['event']:9}", words + before, f"[{whose}]", change["id"] or ""]
    return " ".join(part for part in line if part) + "".join(relations)
