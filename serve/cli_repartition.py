"""`memfold replay repartition`."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from memfold.serve.cli_options import Home, Json, console, print_json
from memfold.serve.cli_restore import print_restored
from memfold.serve.repartitioning import repartition_home
from memfold.serve.replay_progress import print_built
from memfold.serve.settings import settings_from


def register(app: typer.Typer) -> None:
    app.command()(repartition)


def repartition(
    partitions: Annotated[
        int, typer.Option(help="How many; a multiple of how many there are, e.g. 16 of 4.")
    ],
    into: Annotated[
        Path, typer.Option(help="The new home: a folder that is empty or not there yet, or is half made.")
    ],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a new home whose log has more partitions, from the log of this one: same records, offsets and times.

    The stack must be down. The old home is kept as it was, and starts nothing any more. Interrupted, the same command goes on.
    """
    settings = settings_from(home=home)
    if as_json:
        print_json(msgspec.to_builtins(repartition_home(settings, partitions, into)))
        return
    done = repartition_home(settings, partitions, into, print_restored, print_built)
    records = sum(tree.size for tree in done.trees)
    console.print(
        f"{records:,} records of {done.was} partitions stand in {done.now}, at their offsets, with their times; the old trees grown "
        f"out of the new partitions have the roots that they had. `memfold up --home {into}` serves them",
        highlight=False,
    )
    console.print(
        f"{settings.folder} is kept as it was, with its archive and seals, and starts nothing any more; remove it when you want",
        highlight=False,
    )
