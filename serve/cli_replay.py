"""`memfold replay rebuild|verify`."""

from typing import Annotated

import typer

from memfold.replay.build import BuiltShard
from memfold.replay.rebuild import Compared, Rebuilt
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json, print_rows
from memfold.serve.replaying import rebuild_served, verify_served
from memfold.serve.settings import settings_from

app = typer.Typer(no_args_is_help=True)
Projections = Annotated[list[str] | None, typer.Argument(help="vector, graph; both if left out.")]
From = Annotated[str, typer.Option("--from", help="kafka or archive.")]


def _done(built: BuiltShard) -> None:
    rate = built.position.applied / built.seconds if built.seconds else 0.0
    console.print(
        f"  {built.task.projection}/{built.task.partition}: {built.position.applied} events in {built.seconds:.1f} s "
        f"({rate:,.0f}/s), digest {built.digest[:16]}",
        highlight=False,
    )


@app.command()
def rebuild(
    projections: Projections = None,
    source: From = "kafka",
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Build a new generation of the projections from the log, without any model, and serve it."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    found = rebuild_served(settings, projections or ["vector", "graph"], source, _quiet if as_json else _done)
    if as_json:
        print_json([_rebuilt(one) for one in found])
        return
    for one in found:
        console.print(f"{one.projection}: serving {one.generation}", highlight=False)


def _quiet(built: BuiltShard) -> None:
    """Nothing but the JSON is printed."""


def _rebuilt(one: Rebuilt) -> dict[str, object]:
    shards = [
        {
            "partition": built.task.partition,
            "offset": built.position.offset,
            "applied": built.position.applied,
            "ignored": built.position.ignored,
            "quarantined": built.position.quarantined,
            "erased": built.position.erased,
            "digest": built.digest,
            "seconds": round(built.seconds, 3),
        }
        for built in one.shards
    ]
    return {"projection": one.projection, "generation": one.generation, "shards": shards}


@app.command()
def verify(
    source: From = "kafka", home: Home = None, bootstrap_servers: Bootstrap = None, as_json: Json = False
) -> None:
    """Build the projections aside from the log and compare digests; exit status 1 where one differs."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    found = verify_served(settings, source)
    if as_json:
        print_json([{"equal": one.equal, **_compared(one)} for one in found])
    else:
        rows: list[list[object]] = [
            [
                one.projection,
                one.partition,
                one.offset,
                "equal" if one.equal else "DIFFERS",
                one.served[:16],
                one.built[:16],
            ]
            for one in found
        ]
        print_rows(
            "served against log", ["projection", "partition", "offset", "", "served", "from the log"], rows
        )
    if not all(one.equal for one in found):
        console.print(
            "a served projection is not what the log says: run `memfold replay rebuild`", style="red"
        )
        raise typer.Exit(1)


def _compared(one: Compared) -> dict[str, object]:
    return {
        "projection": one.projection,
        "partition": one.partition,
        "offset": one.offset,
        "served": one.served,
        "built": one.built,
    }
