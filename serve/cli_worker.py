"""`memfold worker`."""

from typing import Annotated

import typer

from memfold.serve.cli_options import Bootstrap, Home, ready_member
from memfold.serve.roles import checked_roles
from memfold.serve.settings import settings_from


def register(app: typer.Typer) -> None:
    app.command()(worker)


def worker(
    roles: Annotated[
        list[str] | None, typer.Argument(help="decide, vector, graph, archive, seal; all if left out.")
    ] = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """Run processors in this process, against a Kafka that is there."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    checked = checked_roles(roles or [])
    # What a worker is made of takes seconds to import, which neither --help nor a wrong role has to wait for.
    from memfold.serve.worker_process import run_worker

    # The supervisor names each worker; a static group member that comes back keeps its partitions.
    member, ready = ready_member(settings, f"following as {', '.join(checked)}")
    run_worker(settings, checked, member, ready)
