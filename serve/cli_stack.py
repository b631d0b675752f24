"""`memfold up|down|doctor|config`: the processes of a stack."""

import asyncio
import subprocess
from typing import Annotated

import typer

from memfold.infra.processes import stop_process
from memfold.infra.stack_file import running_stack as stack_of
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json, print_rows
from memfold.serve.doctor import examine
from memfold.serve.embedded import check_before_start, shape_of, start_up, wait_ready
from memfold.serve.running import run_stack
from memfold.serve.settings import Settings, settings_from

_STOP_DEADLINE = 40.0


def register(app: typer.Typer) -> None:
    for verb in (up, down, doctor, config):
        app.command()(verb)


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when it runs; stop it with `memfold down`.")
    ] = False,
    separate: Annotated[
        bool, typer.Option(help="One process for each worker instead of one for all.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Worker processes that share the partitions, one of which seals.")
    ] = 1,
    plain: Annotated[bool, typer.Option(help="No live status line.")] = False,
    parent_pipe: Annotated[bool, typer.Option(hidden=True)] = False,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """Run the broker and the workers until Ctrl-C; what dies is started again."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    if not detach:
        check_before_start(settings)
        asyncio.run(run_stack(settings, separate, workers, 0 if parent_pipe else None, plain))
        return
    with console.status("starting (the first start on a machine fetches Kafka, 45 MB)"):
        process = start_up(settings, shape_of(separate, workers), subprocess.DEVNULL)
        stack = wait_ready(settings.folder, process)
    console.print(
        f"running in {settings.folder}, Kafka at {stack.bootstrap_servers}; `memfold down` stops it",
        highlight=False,
    )


def down(home: Home = None) -> None:
    """Stop the stack of this home: workers first, then the broker."""
    settings = settings_from(home=home)
    stack = stack_of(settings.folder)
    if stack is None:
        console.print(f"nothing runs in {settings.folder}", highlight=False)
        return
    stop_process(stack.supervisor, _STOP_DEADLINE)
    console.print(f"stopped what ran in {settings.folder}", highlight=False)


def doctor(home: Home = None, bootstrap_servers: Bootstrap = None, as_json: Json = False) -> None:
    """Check what memfold needs on this machine; exit status 1 where something is missing."""
    checks = examine(settings_from(home=home, bootstrap_servers=bootstrap_servers))
    if as_json:
        print_json([{"check": c.name, "ok": c.ok, "found": c.found} for c in checks])
    else:
        print_rows(
            "doctor", ["", "check", "found"], [["ok" if c.ok else "FAILS", c.name, c.found] for c in checks]
        )
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def config(home: Home = None, as_json: Json = False) -> None:
    """Every setting, its value and the variable that sets it."""
    settings = settings_from(home=home)
    values = settings.model_dump(mode="json")
    if as_json:
        print_json(values)
        return
    rows: list[list[object]] = []
    for name, field in Settings.model_fields.items():
        rows.append([f"MEMFOLD_{name.upper()}", values[name], field.description])
    print_rows(f"settings ({settings.folder})", ["variable", "value", "what for"], rows)
