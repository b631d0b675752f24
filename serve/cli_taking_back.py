"""`memfold revert` and `memfold replay revoke`: undoing, by events that stay in the log like all others."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from memfold.memory.errors import InvalidInput
from memfold.serve.cli_memory import print_changed
from memfold.serve.cli_options import Bootstrap, Home, Json, User, console, print_json
from memfold.synchronous import Memory

Told = dict[str, Any]
Reason = Annotated[str, typer.Option(help="Why; it stands in the history.")]
By = Annotated[str | None, typer.Option("--by", help="Who takes it back; it stands in the history.")]
_WORDS = {"DELETE": "goes", "UPDATE": "becomes", "RESTORE": "is back", "NONE": "stays"}


def register(app: typer.Typer) -> None:
    app.command()(revert)


def register_replay(app: typer.Typer) -> None:
    app.command()(revoke)


def revert(
    memory_or_event: Annotated[str, typer.Argument(help="The id of a memory, or of an event or command.")],
    reason: Reason,
    by: By = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """A memory says again what it said before its last version; of an event, all that it did is undone.

    Added last, it goes out of view; deleted last, it is back. Reverting again goes forward again.
    """
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        done = memory.revert(memory_or_event, reason, actor_id=by)
    _print_done(done, as_json)


def revoke(
    reason: Reason,
    command: Annotated[
        list[str] | None, typer.Option(help="Id of a command or of its event; may be given several times.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option(help="Whose commands: an actor_id, an agent_id, or the name of messages.")
    ] = None,
    user: User = None,
    since: Annotated[str | None, typer.Option(help="With --actor: asked at or after, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="With --actor: asked before, ISO 8601.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what rests on it, and change nothing.")
    ] = False,
    by: By = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Find everything that rests on a message or an actor, show it as a tree, and undo it once you confirm.

    History stays; what is shown now is as if it had not been said. What rests on it and cannot be decided mechanically is marked
    for review. Exit status 1 where it is not confirmed.
    """
    if as_json and not (yes or dry_run):
        raise InvalidInput("--json asks nothing: say --yes to undo it, or --dry-run to look at it")
    wanted: Told = {"reason": reason, "actor": actor, "user_id": user, "since": since, "until": until}
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        if not as_json:
            tree = memory.revoke(command or [], **wanted, dry_run=True)["tree"]
            _print_tree(tree)
            if dry_run or not tree:
                return
            if not yes and not typer.confirm("Undo this?"):
                console.print("nothing was changed")
                raise typer.Exit(1)
        done = memory.revoke(command or [], **wanted, dry_run=dry_run, actor_id=by)
    _print_done(done, as_json)


def _print_done(done: Told, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    print_changed(done)
    if done["reviews"]:
        console.print(f"for review: {len(done['reviews'])}")
        _print_reviews(done["reviews"])


def _print_reviews(reviews: Iterable[Told]) -> None:
    for one in reviews:
        console.print(
            f"  memory {one['memory_id']}: command {one['command_id']}: {one['why']}",
            highlight=False,
            markup=False,
        )


def _print_tree(subjects: list[Told]) -> None:
    if not subjects:
        console.print("nothing rests on it, or all of it was taken back before; nothing was changed")
        return
    for told in subjects:
        root = Tree(f"[bold]{escape(told['who'] or 'somebody whose name is not kept')}")
        shown: set[str] = set()
        for command in told["commands"]:
            node = root.add(f"command {command['command_id']}, {command['at'][:19]}")
            for did in command["did"]:
                node.add(f"did: {escape(did)}")
            for memory in told["memories"]:
                if memory["id"] in command["memories"] and memory["id"] not in shown:
                    shown.add(memory["id"])
                    _add_memory(node, memory)
        for memory in told["memories"]:
            if memory["id"] not in shown:
                _add_memory(root, memory)
        _add_reviews(root, told["reviews"])
        console.print(root, highlight=False)


def _add_memory(parent: Tree, memory: Told) -> None:
    text = escape(memory["memory"] if memory["memory"] is not None else memory["becomes"] or "")
    becomes = f": {escape(memory['becomes'])}" if memory["event"] == "UPDATE" else ""
    node = parent.add(
        f"memory [cyan]{text}[/] [bold]{_WORDS[memory['event']]}[/]{becomes}  [dim]{memory['id']}"
    )
    for one in memory["relations"]:
        told = escape(f"{one['source']} {one['relationship']} {one['target']}")
        node.add(f"relation {told} [bold]{'ends' if one['event'] == 'END' else 'holds again'}")
    _add_reviews(node, memory["reviews"])


def _add_reviews(parent: Tree, reviews: Iterable[Told]) -> None:
    for one in reviews:
        node = parent.add(f"[yellow]for review:[/] command {one['command_id']}, {escape(one['why'])}")
        for did in one["did"]:
            node.add(f"did: {escape(did)}")
