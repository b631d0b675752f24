"""`memfold relations`: what the graph knows."""

from typing import Annotated

import typer

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
    app.command("relations")(relations)


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
