"""`memfold restore`."""

from pathlib import Path
from typing import Annotated

import typer

from memfold.replay.restoring import Restored
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json
from memfold.serve.replay_progress import print_built
from memfold.serve.restoring import RECORD, Told, record_of, restore_home
from memfold.serve.settings import settings_from


def register(app: typer.Typer) -> None:
    app.command()(restore)


def restore(
    archive: Annotated[
        Path, typer.Option(help="Folder of the Parquet archive: the home's own, or a copy of it.")
    ],
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Bring back a lost Kafka and lost projections from the archive and the key store: same partitions, offsets, bytes and times.

    Writes into empty topics only, and goes on where it was interrupted. The home needs its keys.db and key, and its seals where
    there were any. Exit status 1 where the projections differ from a fold of the restored log.
    """
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    told = Told() if as_json else Told(print_restored, print_built)
    whole = restore_home(settings, archive.expanduser().absolute(), told)
    if as_json:
        print_json(record_of(whole))
    else:
        records = sum(one.records for one in whole.partitions)
        equal = ", and the projections equal a fold of them" if whole.equal else ""
        console.print(
            f"{records:,} records are back at their offsets, with their times{equal}; "
            f"{settings.folder / RECORD} says what was not archived. `memfold up` serves them",
            highlight=False,
        )
        if lost := sum(one.lost for one in whole.partitions):
            console.print(f"{lost} commands were not archived, their events were", highlight=False)
        if whole.unreadable:
            console.print(
                f"{whole.unreadable} events cannot be opened: forged, or keys.db is older than the archive",
                style="red",
            )
    if not whole.equal:
        console.print(
            "a projection is not the fold of the restored log: run `memfold replay verify`", style="red"
        )
        raise typer.Exit(1)


def print_restored(one: Restored) -> None:
    there = f", {one.present} of them there before" if one.present else ""
    console.print(f"  {one.topic}/{one.partition}: {one.records} records{there}", highlight=False)
