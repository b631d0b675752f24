"""Which family has a verb: so that a command imports what it needs, and not what all the others need, which takes seconds."""

from __future__ import annotations

import typer

FAMILIES = {
    "up": "cli_stack",
    "down": "cli_stack",
    "doctor": "cli_stack",
    "config": "cli_stack",
    "worker": "cli_worker",
    "status": "cli_status",
    "add": "cli_memory",
    "search": "cli_memory",
    "get": "cli_memory",
    "list": "cli_memory",
    "update": "cli_memory",
    "delete": "cli_memory",
    "history": "cli_memory",
    "revert": "cli_taking_back",
    "relations": "cli_graph",
    "sparql": "cli_graph",
    "export": "cli_graph",
    "explain": "cli_understanding",
    "retry": "cli_understanding",
    "entity": "cli_understanding",
    "watch": "cli_watch",
    "restore": "cli_restore",
    "import": "cli_import",
    "ingest": "cli_ingest",
    "eval": "cli_eval",
    "projection": "cli_projection",
    "infra": "cli_infra",
}
"""The first word of a command to the module of serve/ whose `register` adds it. Not in it: groups that several families share."""

SHARED = ("replay", "audit")
"""Groups of several families: built with the whole."""


def new_app() -> typer.Typer:
    """The command line without a verb."""
    app = typer.Typer(
        name="memfold",
        help="Memory for AI agents as a fold over an immutable log.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    # Without a callback, Typer takes an app of one command for that command.
    app.callback()(_nothing)
    return app


def _nothing() -> None:
    pass
