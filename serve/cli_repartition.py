"""`memfold replay repartition`."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json
from memfold.serve.cli_restore import print_restored
from memfold.serve.new_cluster import NewCluster
from memfold.serve.repartitioned import moved_from
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
    bootstrap_servers: Bootstrap = None,
    into_bootstrap_servers: Annotated[
        str | None,
        typer.Option(
            "--into-bootstrap-servers",
            help="The new log's Kafka, another cluster than the old log's; also MEMFOLD_INTO_BOOTSTRAP_SERVERS. "
            "Unset: an embedded one in the new home.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a new home whose log has more partitions, from the log of this one: same records, offsets and times.

    The stack must be down, and no worker may run. The old home is kept as it was, and starts nothing any more. A log on a Kafka of your
    own goes to another cluster, whose credentials are MEMFOLD_INTO_*. Interrupted, the same command goes on.
    """
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    cluster = NewCluster.configured(into_bootstrap_servers)
    if as_json:
        print_json(msgspec.to_builtins(repartition_home(settings, partitions, into, cluster=cluster)))
        return
    done = repartition_home(settings, partitions, into, print_restored, print_built, cluster)
    records = sum(tree.size for tree in done.trees)
    gone = moved_from(settings.folder)
    up = gone.up if gone else f"`memfold up --home {into}`"
    console.print(
        f"{records:,} records of {done.was} partitions stand in {done.now}, at their offsets, with their times; the old trees grown "
        f"out of the new partitions have the roots that they had. {up} serves them",
        highlight=False,
    )
    console.print(
        f"{settings.folder} is kept as it was, with its archive and seals, and starts nothing any more; remove it when you want",
        highlight=False,
    )
