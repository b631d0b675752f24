"""`memfold audit report`: pages that an officer prints."""

import json
from typing import Annotated

import typer

from memfold.audit.auditor import ReportName
from memfold.serve.cli_audit import Output, Since, Until
from memfold.serve.cli_options import Bootstrap, Home, User, console
from memfold.synchronous import Memory


def register(app: typer.Typer) -> None:
    app.command("report")(report)


def report(
    name: Annotated[ReportName, typer.Argument(help="Which report.")],
    user: User = None,
    since: Since = None,
    until: Until = None,
    output: Output = None,
    as_json: Annotated[
        bool, typer.Option("--json/--html", help="For programs, or one page for printing.")
    ] = False,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """access: who read. changes: by day and kind. models: which saw whose data. retention: what is kept, sealed, and did not verify."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        made = memory.audit.report(name, user_id=user, since=since, until=until)
    text = json.dumps(made.json(), ensure_ascii=False, indent=2) + "\n" if as_json else made.html()
    if output is None:
        typer.echo(text, nl=False)
    else:
        # As the page itself says, whatever the locale is.
        output.write_text(text, encoding="utf-8")
        console.print(f"{output}: report {name}, {len(text.encode()):,} bytes", highlight=False)
