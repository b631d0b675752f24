"""`memfold add|search|get|list|update|delete|history`: the verbs of Memory, for daily use."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from memfold.memory.errors import InvalidInput
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
    print_relations,
    print_rows,
)
from memfold.synchronous import Memory

Words = Annotated[list[str], typer.Argument(help="The text.")]
Filters = Annotated[
    str | None, typer.Option(help='A JSON object, see docs/recall.md: {"topic": {"in": ["work"]}}.')
]
MemoryId = Annotated[str, typer.Argument(help="A memory's id.")]


def register(app: typer.Typer) -> None:
    for name, verb in (
        ("add", add),
        ("search", search),
        ("get", get),
        ("list", list_all),
        ("update", update),
        ("delete", delete),
        ("history", history),
    ):
        app.command(name)(verb)


def checked_object(option: str, text: str | None) -> dict[str, Any] | None:
    """An option that holds a JSON object. Raises InvalidInput."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as wrong:
        raise InvalidInput(
            f'{option} is no JSON: {wrong}; write for example \'{{"topic": "work"}}\''
        ) from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{option} must be a JSON object, not {text}")
    return found


def add(
    text: Words,
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object.")] = None,
    infer: Annotated[bool, typer.Option(help="Find facts; --no-infer keeps the text as it is.")] = True,
    wait: Annotated[bool, typer.Option(help="--no-wait prints the receipt at once.")] = True,
    key: Annotated[str | None, typer.Option(help="Idempotency key: a repeat counts once.")] = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Remember what was said."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        done = memory.add(
            " ".join(text),
            user_id=user,
            agent_id=agent,
            run_id=run,
            metadata=checked_object("--metadata", metadata),
            infer=infer,
            wait=wait,
            idempotency_key=key,
        )
    print_written(done, as_json)


def print_written(done: dict[str, Any], as_json: bool) -> None:
    """What a command changed."""
    if as_json:
        print_json(done)
        return
    rows: list[list[object]] = [
        [r["event"], r["memory"], r.get("previous_memory"), r["id"]] for r in done["results"]
    ]
    print_rows("memories", ["event", "memory", "before", "id"], rows)
    print_relations(done["relations"])
    if done.get("ended_relations"):
        print_relations(done["ended_relations"], "relations that ended")
    if "degraded" in done:
        console.print(f"kept as it was said, because a model failed: {done['degraded']}", markup=False)
    receipt = done["receipt"]
    console.print(
        f"receipt: command {receipt['command_id']} at memfold.commands/{receipt['partition']}@{receipt['offset']}",
        highlight=False,
    )


def search(
    text: Words,
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    limit: Annotated[int, typer.Option(help="At most so many memories.")] = 5,
    threshold: Annotated[float, typer.Option(help="Least score, 0 to 1.")] = 0.1,
    relationship: Annotated[
        str | None, typer.Option(help="Only evidence of this relation, e.g. WORKS_AT.")
    ] = None,
    filters: Filters = None,
    explain: Annotated[bool, typer.Option("--explain", help="What each part added to a score.")] = False,
    as_of: AsOf = None,
    rerank: Annotated[
        bool | None,
        typer.Option("--rerank/--no-rerank", help="With or without the re-ranker that is configured."),
    ] = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Find the memories that answer best, and the relations that belong to them."""
    given = checked_object("--filters", filters) or {}
    chosen = {"AND": [given, {"relationship": relationship}]} if relationship else given
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.search(
            " ".join(text),
            user_id=user,
            agent_id=agent,
            run_id=run,
            limit=limit,
            threshold=threshold,
            filters=chosen,
            explain=explain,
            as_of=as_of,
            rerank=rerank,
        )
    if as_json:
        print_json(found)
        return
    rows: list[list[object]] = [
        [f"{r['score']:.3f}", r["memory"], r["id"], _explained(r)] for r in found["results"]
    ]
    columns = ["score", "memory", "id", "evidence"]
    print_rows(
        "memories", columns if explain else columns[:-1], rows if explain else [row[:-1] for row in rows]
    )
    print_relations(found["relations"])
    if (second := found.get("reranker")) and second["failed"]:
        console.print(f"not re-ranked: {second['failed']}", style="yellow", highlight=False, markup=False)
    if explain:
        print("{ranked} memories ranked; meaning: {meaning}, words: {words}".format(**found["searched"]))


def _explained(result: Mapping[str, Any]) -> str:
    """The parts of a score, the largest first."""
    parts = sorted(result.get("score_details", {}).items(), key=lambda part: -part[1])
    return ", ".join(f"{name} {value:.2f}" for name, value in parts)


def get(
    memory_id: MemoryId,
    as_of: AsOf = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Show one memory."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.get(memory_id, as_of=as_of)
    if as_json:
        print_json(found)
    elif found is None:
        console.print(
            f"there is no memory {memory_id}, or it was deleted; `memfold history` shows its past",
            highlight=False,
        )
        raise typer.Exit(1)
    else:
        print_rows("memory", ["field", "value"], [[name, value] for name, value in found.items()])


def list_all(
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    limit: Annotated[int, typer.Option(help="At most so many memories.")] = 100,
    filters: Filters = None,
    as_of: AsOf = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """List the memories of a user, agent or run, oldest first."""
    chosen = checked_object("--filters", filters)
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.get_all(
            user_id=user, agent_id=agent, run_id=run, limit=limit, filters=chosen, as_of=as_of
        )
    if as_json:
        print_json(found)
        return
    rows: list[list[object]] = [[r["updated_at"][:19], r["memory"], r["id"]] for r in found["results"]]
    print_rows("memories", ["since", "memory", "id"], rows)
    print_relations(found["relations"])


def update(
    memory_id: MemoryId,
    text: Words,
    metadata: Annotated[str | None, typer.Option(help="A JSON object; replaces the present one.")] = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Give a memory a new text; the old one stays in its history."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        done = memory.update(memory_id, " ".join(text), metadata=checked_object("--metadata", metadata))
    print_written(done, as_json)


def delete(
    memory_id: MemoryId, home: Home = None, bootstrap_servers: Bootstrap = None, as_json: Json = False
) -> None:
    """Take a memory out of view; its history stays."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        done = memory.delete(memory_id)
    print_written(done, as_json)


def history(
    memory_id: MemoryId, home: Home = None, bootstrap_servers: Bootstrap = None, as_json: Json = False
) -> None:
    """Every version of a memory: what it said, what it says, when, and from which command."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.history(memory_id)
    if as_json:
        print_json(found)
        return
    rows: list[list[object]] = [
        [
            v["version"],
            v["event"],
            v["old_memory"],
            v["new_memory"],
            v["updated_at"] or v["created_at"],
            v["reason"],
            v["command_id"],
        ]
        for v in found
    ]
    print_rows("history", ["version", "event", "old", "new", "when", "reason", "command"], rows)
