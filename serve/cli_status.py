"""`memfold status`: how everything stands, once or again and again."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json
from memfold.serve.running import status_now, statuses
from memfold.serve.settings import Settings, settings_from
from memfold.serve.status import Rates, Status
from memfold.serve.status_shown import shown
from memfold.serve.stopping import when_told_to_stop


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    home: Home = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again and again, until Ctrl-C; with rates, and lag by partition.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.2, help="With --watch: seconds between two looks.")] = 1.0,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Processes, topics, positions, lag, generations, and the circuit breakers of model endpoints."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    if watch:
        asyncio.run(_watch(settings, every, as_json))
        return
    found = asyncio.run(status_now(settings))
    if as_json:
        print_json(found)
    else:
        console.print(shown(found), highlight=False, soft_wrap=True)


async def _watch(settings: Settings, every: float, as_json: bool) -> None:
    """In a terminal the same lines are drawn anew; elsewhere each look follows the one before, with --json one a line."""
    stop = asyncio.Event()
    when_told_to_stop(stop.set)
    live = console.is_terminal and not as_json
    with Live(console=console, auto_refresh=False) as drawn:
        rates = Rates()
        async for found in statuses(settings, every, stop):
            if isinstance(found, dict):
                rates.take(found)
            if as_json:
                console.print(_line(found, rates), markup=False, highlight=False, soft_wrap=True)
            elif live:
                drawn.update(_block(found, rates), refresh=True)
            else:
                console.print(_block(found, rates), highlight=False, soft_wrap=True)


def _line(found: Status | Exception, rates: Rates) -> str:
    if isinstance(found, Exception):
        return json.dumps({"unreachable": str(found)}, ensure_ascii=False)
    return json.dumps(found | {"rates": rates.a_second}, ensure_ascii=False)


def _block(found: Status | Exception, rates: Rates) -> Group | Text:
    return (
        Text(f"{found}; looking again", style="red") if isinstance(found, Exception) else shown(found, rates)
    )
