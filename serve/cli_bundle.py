"""`memfold audit bundle|verifier`: evidence for somebody who has neither memfold nor our network."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from memfold.audit.bundle_verifier import verifier_source
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json
from memfold.synchronous import Memory

_KEY_INSIDE = (
    "{bundle} holds the data key of {user}. Whoever has it can open every record of theirs that they get hold of, not only those of "
    "this window. Hand it over as you would hand over the data; --sealed leaves the key out."
)


def register(app: typer.Typer) -> None:
    app.command("bundle")(bundle)
    app.command("verifier")(verifier)


def bundle(
    user: Annotated[str, typer.Option("--user", help="Whose records.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The ZIP to write.")],
    start: Annotated[str | None, typer.Option("--from", help="From this moment on.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Before this moment.")] = None,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Leave bodies encrypted, and the key out.")
    ] = False,
    reads: Annotated[
        bool, typer.Option("--reads/--no-reads", help="With who read their memories, and what for.")
    ] = True,
    witnessed: Annotated[
        list[Path] | None,
        typer.Option("--witnessed", help="A countersigned checkpoint, or a witness's folder; repeatable."),
    ] = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Write a ZIP of a user's records with proofs and a verifier; a stranger checks it without memfold and without a network."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        made = memory.audit.bundle(
            output, user_id=user, start=start, end=end, sealed=sealed, reads=reads, witnessed=witnessed or ()
        )
    if made["opened"]:
        said = _KEY_INSIDE.format(bundle=output, user=user)
        Console(stderr=True).print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print_json(made)
        return
    console.print(
        f"{output}: {made['records']} records of {user}", markup=False, highlight=False, soft_wrap=True
    )
    for one in made["left_out"]:
        place = f"{one['topic']}/{one['partition']}@{one['offset']}"
        console.print(f"  left out {place}: {one['why']}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"  SHA-256 {made['sha256']}", markup=False, highlight=False, soft_wrap=True)
    told = "  python3 verify.py THIS.zip --key KEY    checks it; `memfold audit key` prints the key"
    console.print(told, highlight=False, soft_wrap=True)


def verifier() -> None:
    """Print verify.py, which checks bundles and needs Python 3.9 only; from here, not from a bundle, it is one that you can trust."""
    typer.echo(verifier_source(), nl=False)
