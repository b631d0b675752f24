"""`memfold audit reads`: who read, when, and what for."""

from typing import Annotated

import typer

from memfold.serve.cli_audit import Since, Until
from memfold.serve.cli_options import Bootstrap, Home, Json, User, print_json, print_rows
from memfold.synchronous import Memory


def register(app: typer.Typer) -> None:
    app.command("reads")(reads)


def reads(
    user: User = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many.")] = 50,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Who read memories, when, what for, and how many came back: the newest first. Asking this is on record too."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.audit.reads(user_id=user, since=since, until=until, limit=limit)
    if as_json:
        print_json(found)
        return
    rows: list[list[object]] = [
        [
            one["at"][:19],
            one["who"],
            one["purpose"] or "-",
            one["verb"],
            one["whose"] or "-",
            one["decision"] + (f" ({one['error']})" if one["error"] else ""),
            one["count"],
        ]
        for one in found
    ]
    print_rows("reads", ["when (UTC)", "who", "why", "verb", "whose", "decision", "count"], rows)
