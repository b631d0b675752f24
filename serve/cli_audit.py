"""`memfold audit …`: questions to the full log."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from memfold.audit.result import AuditResult
from memfold.memory.errors import InvalidInput
from memfold.serve.cli_memory import MemoryId
from memfold.serve.cli_options import Agent, Bootstrap, Home, Json, Run, User, console, print_json, print_rows
from memfold.synchronous import Memory

app = typer.Typer(no_args_is_help=True)

Since = Annotated[
    str | None, typer.Option("--since", help="From this moment on: 2026-03-03, or with a time and zone.")
]
Until = Annotated[str | None, typer.Option("--until", help="Before this moment.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")]
Format = Literal["table", "json", "csv", "parquet", "arrow"]


@app.command("sql")
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the views of docs/audit-views.md.")],
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="Only this memory, in the opened views.")
    ] = None,
    since: Since = None,
    until: Until = None,
    partition: Annotated[int | None, typer.Option("--partition", help="Only this partition.")] = None,
    form: Annotated[Format, typer.Option("--format", help="What to print or write.")] = "table",
    output: Output = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """SQL over the full log: events, commands, versions, memories, relations, model_calls, reads, quarantine, subjects."""
    if form in ("parquet", "arrow") and output is None:
        raise InvalidInput(f"--format {form} is not text; name a file with -o")
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as opened:
        found = opened.audit.sql(
            query, user_id=user, agent_id=agent, run_id=run, memory_id=memory, since=since, until=until, partition=partition
        )  # fmt: skip
    if found.left_out:
        counts = ", ".join(f"{count} {why}" for why, count in found.left_out.items())
        typer.echo(f"records inside the bounds that do not count: {counts}", err=True)
    _give(found, form, output)


def _give(found: AuditResult, form: Format, output: Path | None) -> None:
    if form == "table" and output is None:
        print_rows(f"{len(found)} rows", found.columns, [list(row.values()) for row in found.rows])
    elif form in ("parquet", "arrow"):
        assert output is not None
        (found.to_parquet if form == "parquet" else found.to_arrow_file)(output)
    else:
        text = found.to_csv() if form in ("csv", "table") else found.to_json() + "\n"
        if output is None:
            typer.echo(text, nl=False)
        else:
            output.write_text(text, newline="")


@app.command("blame")
def blame(
    memory_id: MemoryId, home: Home = None, bootstrap_servers: Bootstrap = None, as_json: Json = False
) -> None:
    """Of what a memory says now, where each part comes from: message, model call, decision, version, with their places."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.audit.blame(memory_id)
    if as_json:
        print_json(found)
        return
    for part in found["parts"]:
        console.print("\n".join(_blamed(part)), markup=False, highlight=False)


def _blamed(part: dict[str, Any]) -> Iterable[str]:
    yield f"{part['part']}: {part['value'] or '(deleted)'}"
    message = part["message"]
    for said in message["said"] or []:
        mark = "->" if said["holds_the_fact"] else "  "
        yield f"  message {mark} {said['name'] or said['role']}: {said['content']}  {_place(message['at'])}"
    if not message["said"]:
        yield f"  command    {message['at']['command_id']}  {_place(message['at'])}"
    for call in part["model_calls"]:
        yield f"  model      {call['purpose']} by {call['provider']}/{call['model']}  {_place(call['at'])}"
    decision, version = part["decision"], part["version"]
    yield f"  decision   {decision['outcome']}{': ' + decision['reason'] if decision['reason'] else ''}  {_place(decision['at'])}"
    yield f"  version    {version['version']} {version['event']} at {version['recorded_at']}, event {version['at']['event_id']}"


def _place(at: dict[str, Any]) -> str:
    return f"[{at['topic']}/{at['partition']}@{at['offset']}]"


@app.command("diff")
def diff(
    start: Annotated[str, typer.Option("--from", help="The earlier moment.")],
    end: Annotated[str, typer.Option("--to", help="The later moment.")],
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """What differs between two moments: memories added, changed and gone, relations begun and ended."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.audit.diff(start, end, user_id=user, agent_id=agent, run_id=run)
    if as_json:
        print_json(found)
        return
    signs = {"added": "+", "changed": "~", "gone": "-"}
    lines = [
        f"{sign} {one['memory']}" + (f" (was: {one['was']})" if "was" in one else "")
        for kind, sign in signs.items()
        for one in found[kind]
    ]
    for kind, sign in {"relations_begun": "+", "relations_ended": "-"}.items():
        lines += [f"{sign} {one['source']} {one['relationship']} {one['target']}" for one in found[kind]]
    console.print("\n".join(lines) or "no difference", markup=False, highlight=False)


@app.command("timeline")
def timeline(
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    since: Since = None,
    until: Until = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Everything that happened to the memories and relations of a scope, oldest first."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.audit.timeline(user_id=user, agent_id=agent, run_id=run, since=since, until=until)
    if as_json:
        print_json(found)
        return
    rows: list[list[object]] = [
        [one["at"], one["what"], one["text"] or one.get("previous"), one["memory_id"]] for one in found
    ]
    print_rows("timeline", ["at", "what", "text", "memory"], rows)


@app.command("as-of")
def as_of(
    moment: Annotated[str, typer.Argument(help="2026-03-03, or with a time and zone.")],
    user: User = None,
    agent: Agent = None,
    run: Run = None,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """What was known at a moment, by the log alone; of the whole tenant, if no id is given."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        found = memory.audit.as_of(moment, user_id=user, agent_id=agent, run_id=run)
    if as_json:
        print_json(found)
        return
    rows: list[list[object]] = [
        [one["memory"], one["version"], one["valid_from"], one["id"]] for one in found["results"]
    ]
    print_rows(f"known at {found['at']}", ["memory", "version", "since", "id"], rows)
    held: list[list[object]] = [
        [one["source"], one["relationship"], one["target"]] for one in found["relations"]
    ]
    print_rows("relations", ["from", "relation", "to"], held)


@app.command("log")
def log(
    user: User = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print events as they come, until interrupted.")
    ] = False,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """The newest events, the newest first, as git log; with --follow, events as they come."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        if follow:
            entries: Iterable[dict[str, Any]] = memory.audit.follow(user_id=user)
        else:
            entries = memory.audit.log(user_id=user, since=since, until=until, limit=limit)
        for entry in entries:
            if as_json:
                typer.echo(json.dumps(entry, ensure_ascii=False))
                continue
            lines = [
                f"event {entry['event_id']}  {entry['at']}  {entry['who']}  {entry['partition']}@{entry['offset']}"
            ]
            lines += [f"    {done}" for done in entry["did"]] or [f"    {entry['outcome']} {entry['reason']}"]
            console.print("\n".join(lines), markup=False, highlight=False)


@app.command("show")
def show(
    record_id: Annotated[str, typer.Argument(help="Id of an event or a command.")],
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """One event or command, decoded, as JSON: envelope, body, schema, exact bytes, place."""
    with Memory(home=home, bootstrap_servers=bootstrap_servers) as memory:
        print_json(memory.audit.show(record_id))
