"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memfold.infra.ready import announce_ready
from memfold.serve.settings import Settings

console = Console()
_SHOWN = 20
"""Refused records that are printed; --json has all."""

Home = Annotated[
    str | None, typer.Option("--home", help="Home directory; default MEMFOLD_HOME or ~/.memfold.")
]
RegistryUrl = Annotated[
    str | None,
    typer.Option(
        "--registry",
        help="Schema registry of records in Confluent's framing; also MEMFOLD_REGISTRY_URL.",
    ),
]
Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap-servers", help="An existing Kafka, host:port. No broker is started then."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
User = Annotated[str | None, typer.Option("--user", help="user_id of the memories.")]
Agent = Annotated[str | None, typer.Option("--agent", help="agent_id of the memories.")]
Run = Annotated[str | None, typer.Option("--run", help="run_id of the memories.")]

AsOf = Annotated[
    str | None, typer.Option("--as-of", help="What would have been answered then, e.g. 2026-03-03T10:00Z.")
]


def ready_member(settings: Settings, doing: str) -> tuple[str, Callable[[], None]]:
    """The name that the supervisor gave this process ("" where none did), and what says that it is ready: to the supervisor, or to you."""
    member = os.environ.get("MEMFOLD_ROLE", "")

    def ready() -> None:
        if member:
            announce_ready(settings.folder, member)
        else:
            console.print(f"{doing}; Ctrl-C stops", highlight=False)

    return member, ready


def print_json(value: Any) -> None:
    """JSON for other programs: one document on standard output, no colours."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table, or a line that says that there is nothing."""
    console.print(table_of(title, columns, rows), highlight=bool(rows))


def table_of(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table | Text:
    if not rows:
        return Text(f"{title}: none")
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    return table


def print_places(lines: Sequence[Mapping[str, str]], count: int, style: str) -> None:
    """The first 20 of `count` records that were not taken, {where, reason} each."""
    for one in lines[:_SHOWN]:
        line = f"  {one['where']}: {one['reason']}"
        console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
    if count > _SHOWN:
        more = f"  and {count - _SHOWN:,} more; --json has {'all' if count == len(lines) else f'the first {len(lines):,}'}"
        console.print(more, style=style, highlight=False)


def print_relations(relations: list[dict[str, Any]], title: str = "relations") -> None:
    rows: list[list[object]] = [
        [f"{r['source']} ({r['source_type']})", r["relationship"], f"{r['target']} ({r['target_type']})"]
        for r in relations
    ]
    print_rows(title, ["from", "relation", "to"], rows)
