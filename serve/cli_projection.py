"""`memfold projection add|list|run|search|verify|remove`: mirrors of the vector projection in other stores."""

import asyncio
from typing import Annotated

import typer

from memfold.memory.errors import InvalidInput
from memfold.memory.moments import checked_moment
from memfold.memory.ports import Hit
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import checked_limit
from memfold.replay.build import BuiltShard
from memfold.serve import mirroring
from memfold.serve.caller import Caller
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
    ready_member,
)
from memfold.serve.mirror_worker import MirrorWorker
from memfold.serve.mirrors import Mirrors
from memfold.serve.settings import Settings, settings_from
from memfold.serve.view_nearest import nearest
from memfold.serve.worker_process import run_process
from memfold.stores.searching import NearestAsked

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The mirror's name.")]
From = Annotated[str, typer.Option("--from", help="kafka or archive.")]


def register(whole: typer.Typer) -> None:
    whole.add_typer(app, name="projection", help="Mirror the vector projection in another store.")


@app.command()
def add(
    name: Name,
    store: Annotated[str, typer.Option(help="qdrant, chroma, …: docs/stores.md has them all.")],
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of the store's configuration.")
    ] = None,
    source: From = "kafka",
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """Mirror the vector projection in another store, filled from the log; interrupted, the same command goes on."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    config = dict(_pair(one) for one in setting or [])
    mirroring.add(settings, name, store, config, source, _done)
    console.print(
        f"{name} is filled; `memfold up` keeps it current from its next start on, `memfold projection run {name}` at once",
        highlight=False,
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput(f"--set {text} has no value; write NAME=VALUE")
    return name, value


def _done(built: BuiltShard) -> None:
    console.print(
        f"  {built.task.projection}/{built.task.partition}: {built.position.applied} events in {built.seconds:.1f} s, "
        f"digest {built.digest[:16]}",
        highlight=False,
    )


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """The mirrors, what keeps them current, and how far they have come."""
    found = mirroring.all_of(settings_from(home=home))
    if as_json:
        print_json(
            [
                {
                    "name": one.declared.name,
                    "store": one.declared.provider,
                    "place": one.declared.place,
                    "pid": one.pid,
                    "positions": one.positions,
                }
                for one in found
            ]
        )
        return
    rows: list[list[object]] = [
        [
            one.declared.name,
            one.declared.provider,
            one.declared.place,
            one.pid or "nothing",
            " ".join(f"{partition}:{offset}" for partition, offset in sorted(one.positions.items())),
        ]
        for one in found
    ]
    print_rows("mirrors", ["name", "store", "place", "kept by", "offsets applied"], rows)


@app.command()
def run(name: Name, home: Home = None, bootstrap_servers: Bootstrap = None) -> None:
    """Keep a mirror current in this process until Ctrl-C, and answer searches of it."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    declared = Mirrors(settings.folder).get(name)
    member, ready = ready_member(settings, f"keeping {name} ({declared.provider}) current")
    run_process(settings, ["mirror"], lambda parts: MirrorWorker(parts, declared, member), ready)


@app.command()
def search(
    name: Name,
    text: Annotated[str, typer.Argument(help="What to look for.")],
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    limit: Annotated[int, typer.Option(help="At most so many memories.")] = 5,
    as_of: AsOf = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Ask a mirror alone for the nearest in meaning: no ranking by words, graph or time, as `memfold search` does."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    ids = {"user_id": user, "agent_id": agent, "run_id": run}
    hits = asyncio.run(_search(settings, name, text, ids, checked_limit(limit), as_of))
    if as_json:
        print_json([{"id": h.row.memory_id, "memory": h.row.text, "cosine": h.score} for h in hits])
        return
    rows: list[list[object]] = [[f"{h.score:.3f}", h.row.text, h.row.memory_id] for h in hits]
    print_rows(f"nearest in {name}", ["cosine", "memory", "id"], rows)


async def _search(
    settings: Settings, name: str, text: str, ids: dict[str, str | None], limit: int, as_of: str | None
) -> list[Hit]:
    reach, moment = checked_reach(None, ids), checked_moment(as_of)
    declared = Mirrors(settings.folder).get(name)
    caller = await Caller.open(settings)
    try:
        embedder = caller.recalling.embedder
        (vector,) = await embedder.embed([text])
        scope, meant = reach.scope(), vector.tobytes()
        asked = NearestAsked(
            settings.tenant, None, scope, meant, text, limit, reach.tree, moment, embedder.model
        )
        return await nearest(caller.views, declared.role, asked)
    finally:
        await caller.close()


@app.command()
def verify(
    name: Name, source: From = "kafka", home: Home = None, bootstrap_servers: Bootstrap = None
) -> None:
    """Compare what a mirror's store holds with a fold of the log to the same offsets; exit status 1 where it differs."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    found = mirroring.verify(settings, name, source)
    rows: list[list[object]] = [
        [one.partition, one.offset, "equal" if one.equal else "DIFFERS", one.served[:16], one.built[:16]]
        for one in found
    ]
    print_rows(f"{name} against log", ["partition", "offset", "", "mirror", "from the log"], rows)
    if not all(one.equal for one in found):
        console.print(
            "the store holds something else than the log says: remove the mirror and add it again",
            style="red",
        )
        raise typer.Exit(1)


@app.command()
def remove(
    name: Name,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the collection in the store.")] = False,
    home: Home = None,
) -> None:
    """Drop a mirror's collection and forget the mirror."""
    mirroring.remove(settings_from(home=home), name, keep)
    console.print(f"{name} is removed{'; its collection is left' if keep else ''}", highlight=False)
