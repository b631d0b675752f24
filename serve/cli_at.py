"""`memfold replay at`."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from memfold.replay.past_manifest import Manifest
from memfold.schemas.partitions import EVENTS
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json
from memfold.serve.cli_replay import From
from memfold.serve.pasts import past_at
from memfold.serve.replay_progress import shown_progress
from memfold.serve.settings import settings_from


def register(app: typer.Typer) -> None:
    app.command()(at)


def at(
    moment: Annotated[
        str,
        typer.Argument(
            help="By when the log learnt of things, e.g. 2026-03-03T10:00; without a zone it is UTC."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="A folder that is empty or not there yet, or a past that is half built."
        ),
    ],
    source: From = "kafka",
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Build what was known at a moment into a folder, which `Memory.open` reads without Kafka and without a worker.

    Called again after it was cut short, it goes on. What is served is not touched. The folder holds what people said in the clear,
    as the projections do; it holds no keys, and answers nothing once somebody in it was erased.
    """
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    with shown_progress(quiet=as_json) as shown:
        found = past_at(settings, moment, out, source, shown.done, shown.watch)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    print_past(found, out)


def print_past(found: Manifest, folder: Path) -> None:
    events = sum(found.ends[EVENTS])
    console.print(
        f"{folder} is what was known at {found.moment.isoformat()}: {events:,} events of {len(found.ends[EVENTS])} partitions. "
        f'Open it with Memory.open("{folder}")',
        highlight=False,
        soft_wrap=True,
    )
    if found.perhaps_short:
        console.print(
            f"the archive of partition {', '.join(map(str, found.perhaps_short))} ends before that moment: what was written there "
            "between its end and the moment, if anything was, is not in it; with Kafka running, leave out --from archive",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
