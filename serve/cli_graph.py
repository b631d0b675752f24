"""`memfold relations|sparql|export`: what the graph knows."""

from pathlib import Path
from typing import Annotated, Any

import typer

from memfold.memory.errors import InvalidInput
from memfold.serve.cli_import import export_jsonl
from memfold.serve.cli_options import (
    Agent,
    AsOf,
    Bootstrap,
    Home,
    Json,
    Run,
    User,
    console,
    print_json,
    print_rows,
)
from memfold.synchronous import Memory


def register(app: typer.Typer) -> None:
    for name, verb in (("relations", relations), ("sparql", sparql)):
        app.command(name)(verb)
    # A group that is a command too: `memfold export` gives the graph, `memfold export jsonl` the memories.
    exporting = typer.Typer()
    exporting.callback(invoke_without_command=True)(export)
    exporting.command("jsonl")(export_jsonl)
    app.add_typer(exporting, name="export")


def relations(
    entity: Annotated[
        str | None, typer.Argument(help="Name or id of an entity; without one, all relations.")
    ] = None,
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    relationship: Annotated[str | None, typer.Option(help="Only this relation, e.g. WORKS_AT.")] = None,
    hops: Annotated[int, typer.Option(help="How far from the entity, 1 to 3.")] = 1,
    as_of: AsOf = None,
    valid_at: Annotated[str | None, typer.Option(help="Only what was true then, e.g. 2026-03-03.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also what holds no longer.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many relations.")] = 100,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """The relations around an entity, nearest first: "memfold relations Sarah --hops 2 --user alex"."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.relations(
            user_id=user,
            agent_id=agent,
            run_id=run,
            entity=entity,
            relationship=relationship,
            hops=hops,
            as_of=as_of,
            valid_at=valid_at,
            ended=ended,
            limit=limit,
        )
    if as_json:
        print_json(found)
        return
    if entity is not None and not found["entities"]:
        console.print(f"no relation names {entity}", markup=False, highlight=False)
    rows: list[list[object]] = [
        [r["distance"], r["source"], r["relationship"], r["target"], r["since"][:19], (r["until"] or "")[:19]]
        for r in found["relations"]
    ]
    print_rows("relations", ["hops", "from", "relation", "to", "learnt", "ended"], rows)
    if found["more"]:
        console.print("there are more; raise --limit, or ask for less", highlight=False)


def sparql(
    query: Annotated[str, typer.Argument(help="A SELECT, ASK or CONSTRUCT.")],
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE: the text that a selected variable stands for.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds after which the query is stopped.")] = 5.0,
    limit: Annotated[int, typer.Option(help="More rows than this are refused.")] = 1000,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Ask the graph of a user, agent or run in SPARQL; --json prints SPARQL JSON."""
    bound = _bound(parameter or [])
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.sparql(
            query, user_id=user, agent_id=agent, run_id=run, parameters=bound, timeout=timeout, limit=limit
        )
    if as_json:
        print_json(found)
    elif "boolean" in found:
        console.print("yes" if found["boolean"] else "no")
    else:
        names = found["head"]["vars"]
        rows: list[list[object]] = [
            [_shown(row.get(name)) for name in names] for row in found["results"]["bindings"]
        ]
        print_rows("rows", names, rows)


def _bound(parameters: list[str]) -> dict[str, str]:
    pairs = [parameter.partition("=") for parameter in parameters]
    for name, equals, _ in pairs:
        if not equals:
            raise InvalidInput(f"--parameter {name} has no value; write NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _shown(term: dict[str, Any] | None) -> object:
    return None if term is None else term["value"]


def export(
    context: typer.Context,
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    format: Annotated[str, typer.Option(help="turtle, trig, json-ld or n-quads.")] = "turtle",
    output: Annotated[Path | None, typer.Option(help="A file; without it, standard output.")] = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """Give the graph of a user, agent or run away as RDF, with its provenance in PROV-O; `export jsonl` gives memories."""
    if context.invoked_subcommand is not None:
        return
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        text = memory.export(user_id=user, agent_id=agent, run_id=run, format=format)
    if output is None:
        print(text)
    else:
        output.write_text(text)
