"""`memfold replay rollback`."""

import typer

from memfold.serve.cli_options import Bootstrap, Home, Json, print_json
from memfold.serve.cli_replay import Projections
from memfold.serve.replay_progress import named_projections, print_rebuilt, rebuilt_as_json, shown_progress
from memfold.serve.replaying import rollback_served
from memfold.serve.settings import settings_from


def register(app: typer.Typer) -> None:
    app.command()(rollback)


def rollback(
    projections: Projections = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Serve the generation before this one again, once it has caught up with the log. Called again, it goes forward again.

    It is kept until the next rebuild, and at most `previous_generation_hours`.
    """
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    wanted = named_projections(projections, ["vector", "graph"])
    with shown_progress(quiet=as_json) as shown:
        found = rollback_served(settings, wanted, shown.watch)
    if as_json:
        print_json([rebuilt_as_json(one) for one in found])
        return
    for one in found:
        print_rebuilt(one)
