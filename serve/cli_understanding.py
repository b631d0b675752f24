"""`memfold explain|retry|entity`: why a memory says what it says, what is pending decided again, and who is who."""

from typing import Annotated, Any

import typer

from memfold.serve.cli_memory import MemoryId, print_written
from memfold.serve.cli_options import (
    Agent,
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

entity = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)
    app.command("retry")(retry)
    entity.command("merge")(merge)
    entity.command("split")(split)
    app.add_typer(entity, name="entity", help="Say that two names are one entity, or that one name is two.")


def explain(
    memory_id: MemoryId, home: Home = None, bootstrap_servers: Bootstrap = None, as_json: Json = False
) -> None:
    """Why a memory says what it says: for each version the message, the fact, the decision and the model calls."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.explain(memory_id)
    if as_json:
        print_json(found)
        return
    for version in found["versions"]:
        _print_version(version)


def _print_version(version: dict[str, Any]) -> None:
    place, fact = version["place"], version["fact"]
    was = f" (was: {version['old_memory']})" if version["old_memory"] and version["new_memory"] else ""
    lines = [
        f"version {version['version']}: {version['event']} {version['new_memory'] or version['old_memory']}{was}",
        f"  at        {version['at']}, memfold.events/{place['partition']}@{place['offset']}",
        f"  command   {version['command_id']}, memfold.commands/{place['partition']}@{place['command_offset']}",
    ]
    for message in version["said"] or []:
        mark = "->" if message["holds_the_fact"] else "  "
        lines.append(f"  said   {mark} {message['name'] or message['role']}: {message['content']}")
    if fact:
        when = f", {fact['when']}" if fact["when"] else ""
        lines.append(f"  fact      {fact['text']} ({fact['kind']}, {fact['confidence']:.2f}{when})")
    decision = version["decision"]
    why = f": {decision['reason']}" if decision["reason"] else ""
    lines.append(f"  decision  {decision['outcome']}{why}")
    for change in version["relations"]:
        lines.append(
            f"  relation  {change['op']} {change['source']} {change['relationship']} {change['target']}"
        )
    for call in version["calls"]:
        failed = f", {call['error']}" if call["error"] else ""
        lines.append(
            f"  model     {call['purpose']} by {call['provider']}/{call['model']}, {call['latency_ms']:.0f} ms, "
            f"{call['attempts']} attempts{failed}"
        )
    console.print("\n".join(lines), markup=False, highlight=False)


def retry(
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Decide again what was kept as it was said because a model had failed; everybody's, if no one is named."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        done = memory.retry(user_id=user, agent_id=agent, run_id=run)
    if as_json:
        print_json(done)
    else:
        rows: list[list[object]] = [[r["event"], r["memory"], r["id"]] for r in done["results"]]
        print_rows("decided", ["event", "memory", "id"], rows)
        print_relations(done["relations"])
        console.print(f"still pending: {done['pending']}", highlight=False)
        if "degraded" in done:
            console.print(f"a model failed again: {done['degraded']}", markup=False)
    if "degraded" in done:
        raise typer.Exit(1)


def merge(
    entity: Annotated[str, typer.Argument(help="Name or id of the entity that goes.")],
    into: Annotated[str, typer.Argument(help="Name or id of the entity that stays.")],
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Two names are one entity: "memfold entity merge Bob Robert --user alex"; `entity split Robert Bob` undoes it."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        done = memory.merge_entities(entity, into, user_id=user, agent_id=agent, run_id=run)
    print_written(done, as_json)


def split(
    entity: Annotated[str, typer.Argument(help="Name or id of the entity that holds too much.")],
    name: Annotated[str, typer.Argument(help="The name, or the role (dentist), that goes out of it.")],
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """What goes by a name, or has a role, is an entity of its own."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        done = memory.split_entity(entity, name, user_id=user, agent_id=agent, run_id=run)
    print_written(done, as_json)
