"""`memfold replay what-if`."""

from pathlib import Path
from typing import Annotated

import typer

from memfold.audit.report import Report
from memfold.memory.errors import InvalidInput
from memfold.serve.cli_audit import Since, Until
from memfold.serve.cli_options import Bootstrap, Home, Json, User, console, print_json, print_rows
from memfold.serve.replay_progress import shown_progress
from memfold.synchronous import Memory

File = Annotated[Path | None, typer.Option(help="A file with instructions, in the place of those for facts.")]


def register(app: typer.Typer) -> None:
    app.command("what-if")(what_if)


def what_if(
    llm: Annotated[
        str | None,
        typer.Option(
            help="offline, provider/model, or a model of the configured provider. Left out: as configured."
        ),
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Where that model is asked, with its /v1.")] = None,
    prompt: File = None,
    decision_prompt: Annotated[Path | None, typer.Option(help="The same for decisions.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Show to a decision only memories at least this similar to the fact, 0 to 1."),
    ] = None,
    user: User = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask nothing: how many calls would it make?")
    ] = False,
    ask_again: Annotated[
        bool,
        typer.Option("--ask-again", help="Take no recorded answer, also where the question is the same."),
    ] = False,
    price: Annotated[
        str | None, typer.Option(help="Of a million tokens of input and of output, e.g. 0.15,0.60.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report to this file, as a page.")] = None,
    shadow: Annotated[
        Path | None, typer.Option(help="A new folder for the log as it would be; Memory.open reads it.")
    ] = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Decide the commands again with another model, other instructions or another threshold, and report what would be different.

    The log and what is served are only read. Where the model is asked what it was asked before, the recorded answer is taken.
    """
    with (
        Memory(home=home, bootstrap_servers=bootstrap_servers) as memory,
        shown_progress(quiet=as_json) as shown,
    ):
        made = memory.what_if(
            llm=llm,
            base_url=base_url,
            prompt=_text(prompt),
            decision_prompt=_text(decision_prompt),
            threshold=threshold,
            user_id=user,
            since=since,
            until=until,
            dry_run=dry_run,
            reuse=not ask_again,
            prices=_prices(price),
            shadow=shadow,
            watch=shown.watch,
        )
    if html is not None:
        html.write_text(made.html(), encoding="utf-8")
    if as_json:
        print_json(made.json())
        return
    _print(made)
    for what, path in (("the page", html), ("the log as it would be", shadow)):
        if path is not None:
            console.print(f"{what}: {path}", highlight=False, markup=False)


def _text(path: Path | None) -> str | None:
    """The instructions in a file. Raises InvalidInput."""
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as unread:
        raise InvalidInput(f"{path} cannot be read as text: {unread}") from unread
    if not text:
        raise InvalidInput(f"{path} is empty; write the instructions into it")
    return text


def _prices(price: str | None) -> tuple[float, float] | None:
    if price is None:
        return None
    try:
        first, second = map(float, price.split(","))
    except ValueError:
        raise InvalidInput(f"--price {price!r} is not two numbers; write it like 0.15,0.60") from None
    return first, second


def _print(made: Report) -> None:
    for bad in made.bad:
        console.print(bad, style="bold red", highlight=False, markup=False)
    told = made.json()
    for name, value in told["about"].items():
        console.print(f"{name}: {value}", highlight=False, markup=False)
    for table in made.tables:
        rows = [list(row.values()) for row in told[table.name]]
        console.print()
        print_rows(table.caption, [column.replace("_", " ") for column in table.columns], rows)
