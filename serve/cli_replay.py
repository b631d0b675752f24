"""`memfold replay rebuild`."""

from typing import Annotated

import typer

from memfold.memory.errors import InvalidInput
from memfold.providers.embedder_choice import chosen, name_of, named
from memfold.replay.estimate import Estimate
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json
from memfold.serve.replay_progress import (
    named_projections,
    numbers_in,
    print_rebuilt,
    rebuilt_as_json,
    shown_progress,
)
from memfold.serve.replaying import estimate_served, rebuild_served
from memfold.serve.settings import settings_from

app = typer.Typer(no_args_is_help=True)
Projections = Annotated[list[str] | None, typer.Argument(help="vector, graph, or all; all if left out.")]
Partitions = Annotated[
    str | None,
    typer.Option(
        help="Build only these, e.g. 0,2-3; the call that builds the last of the others serves them all."
    ),
]
From = Annotated[str, typer.Option("--from", help="kafka or archive.")]
Embedder = Annotated[
    str | None,
    typer.Option(
        help="Embed again with another model: wordllama, minilm, text-embedding-3-small, provider/model."
    ),
]
Dimensions = Annotated[
    int | None, typer.Option(help="Of that model's vectors, where memfold does not know them.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --embedder: what it would cost, and change nothing.")
]


@app.command()
def rebuild(
    projections: Projections = None,
    source: From = "kafka",
    home: Home = None,
    embedder: Embedder = None,
    dimensions: Dimensions = None,
    partitions: Partitions = None,
    dry_run: DryRun = False,
    digests: Annotated[
        bool,
        typer.Option("--digests", help="Tell each shard's digest too; for that all of it is read again."),
    ] = False,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Build a new generation of the projections from the log and serve it. No model is asked, except with --embedder.

    With --embedder the texts of the log are embedded by another model, beside what is served, which answers until the new
    generation has caught up. What was embedded once is kept: the same again asks no model.

    What is served stays until the new generation stands where it stands. A rebuild that was killed is taken up by the next one.
    """
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    models = named(embedder, settings.models, dimensions) if embedder else None
    if dry_run:
        if models is None:
            raise InvalidInput("--dry-run tells what --embedder would cost; name one, e.g. --embedder minilm")
        _print_estimate(estimate_served(settings, source, models), as_json)
        return
    wanted = named_projections(projections, ["vector"] if models else ["vector", "graph"])
    with shown_progress(quiet=as_json) as shown:
        only = numbers_in(partitions) if partitions is not None else None
        found = rebuild_served(settings, wanted, source, shown.done, models, shown.watch, only, digests)
    if as_json:
        print_json([rebuilt_as_json(one) for one in found])
        return
    for one in found:
        print_rebuilt(one)
    if models is not None and chosen(settings.models) and name_of(models) != name_of(settings.models):
        console.print(
            f"the configuration still says {name_of(settings.models)}: what starts under it will refuse. Set "
            f"MEMFOLD_MODELS__EMBEDDER_PROVIDER={models.embedder_provider}, or nothing at all",
            highlight=False,
        )


def _print_estimate(found: Estimate, as_json: bool) -> None:
    if as_json:
        told = {name: getattr(found, name) for name in ("model", "dimensions", "texts", "cached", "tokens")}
        print_json(told | {"texts_a_second": round(found.texts_a_second), "seconds": round(found.seconds, 1)})
        return
    if not found.texts:
        console.print(
            f"{found.model} ({found.dimensions} dimensions): nothing to embed; {found.cached:,} texts are kept from before, the "
            "others are in the log as this model's",
            highlight=False,
        )
        return
    console.print(
        f"{found.model} ({found.dimensions} dimensions): {found.texts:,} texts to embed, about {found.tokens:,} tokens, about "
        f"{found.seconds:,.0f} s at {found.texts_a_second:,.0f} texts/s; {found.cached:,} more are kept from before. Nothing was changed",
        highlight=False,
    )
