"""`memfold import mem0|jsonl` and `memfold export jsonl`: memories that began elsewhere, and memories to take elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from memfold.memory.errors import InvalidInput
from memfold.replay.jsonl import lines_of, written
from memfold.replay.mem0_api import HOST, Mem0Service
from memfold.replay.mem0_store import Mem0Store, Offered
from memfold.serve.cli_options import (
    Agent,
    Bootstrap,
    Home,
    Json,
    Run,
    User,
    console,
    print_json,
    print_places,
)
from memfold.serve.importing import Report, checked_only, import_offered
from memfold.synchronous import Memory

app = typer.Typer(no_args_is_help=True)

Whose = "of memories that name nobody themselves."
OwnerUser = Annotated[str | None, typer.Option("--user", help=f"user_id {Whose}")]
OwnerAgent = Annotated[str | None, typer.Option("--agent", help=f"agent_id {Whose}")]
OwnerRun = Annotated[str | None, typer.Option("--run", help=f"run_id {Whose}")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")]


def register(whole: typer.Typer) -> None:
    whole.add_typer(app, name="import", help="Take in memories that began elsewhere.")


@app.command()
def mem0(
    path: Annotated[
        Path | None, typer.Argument(help="Folder of Mem0's history.db, by default its own: ~/.mem0.")
    ] = None,
    client: Annotated[
        bool, typer.Option("--client", help="From Mem0's service, with the key in MEM0_API_KEY.")
    ] = False,
    history: Annotated[Path | None, typer.Option(help="history.db, where it is not in PATH.")] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="Folder of Qdrant's local mode, where it is not in PATH: /tmp/qdrant.")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="The collection, where there are several.")] = None,
    host: Annotated[str, typer.Option(help="Address of Mem0's service.")] = HOST,
    user: OwnerUser = None,
    agent: OwnerAgent = None,
    run: OwnerRun = None,
    dry_run: DryRun = False,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Take in the memories of Mem0 with their ids, times and history. Run again, it takes in what is missing."""
    told = (home, bootstrap_servers, (user, agent, run), dry_run, as_json)
    if not client:
        folder = path or Path(os.environ.get("MEM0_DIR", "~/.mem0")).expanduser()
        _import("mem0", Mem0Store.find(folder, history, vectors, collection).memories(), *told)
        return
    if path or history or vectors or collection:
        raise InvalidInput(
            "--client reads Mem0's service: leave PATH, --history, --vectors and --collection out"
        )
    key = os.environ.get("MEM0_API_KEY")
    if not key:
        raise InvalidInput("MEM0_API_KEY is not set: --client needs the key of the account")
    with closing(Mem0Service(key, host)) as service:
        _import("mem0", service.memories(), *told)


@app.command()
def jsonl(
    file: Annotated[Path, typer.Argument(help="One memory a line, as `memfold export jsonl` writes them.")],
    user: OwnerUser = None,
    agent: OwnerAgent = None,
    run: OwnerRun = None,
    dry_run: DryRun = False,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Take in memories from a file with their ids, times and history. Run again, it takes in what is missing."""
    _import("jsonl", lines_of(file), home, bootstrap_servers, (user, agent, run), dry_run, as_json)


def _import(
    source: str,
    offered: Iterable[Offered],
    home: str | None,
    bootstrap_servers: str | None,
    whose: tuple[str | None, str | None, str | None],
    dry_run: bool,
    as_json: bool,
) -> None:
    if dry_run:
        report = checked_only(offered, source, whose)
    else:
        with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
            report = import_offered(memory, offered, source, whose, quiet=as_json)
    if as_json:
        print_json(report.told())
    else:
        _print(report, dry_run)
    if report.refused:
        raise typer.Exit(1)


def _print(report: Report, dry_run: bool) -> None:
    did = "can be imported" if dry_run else "imported"
    counts = f"{report.there_before:,} here before, {len(report.refused):,} refused"
    console.print(f"memories: {report.imported:,} {did}, {counts}", highlight=False)
    if report.degraded:
        said = f"{report.degraded:,} came in without a vector, because a model failed: they are found by their words"
        console.print(said, style="yellow", highlight=False)
    for lines, style in ((report.differing, "yellow"), (report.refused, "red")):
        print_places(lines, len(lines), style)


def export_jsonl(
    file: Annotated[Path | None, typer.Argument(help="A file; without it, standard output.")] = None,
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """Write memories with their whole history, deleted ones too, as JSONL that `memfold import jsonl` takes; without ids, everybody's."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.export_memories(user_id=user, agent_id=agent, run_id=run)
    if file is None:
        sys.stdout.writelines(written(found["results"]))
    else:
        with file.open("w", encoding="utf-8") as out:
            out.writelines(written(found["results"]))
        console.print(f"memories: {len(found['results']):,} in {file}", highlight=False)
    if found["left_out"]:
        why = ", ".join(f"{count} {name}" for name, count in found["left_out"].items())
        print(f"records that cannot be told: {why}", file=sys.stderr)
