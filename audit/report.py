"""A report: what an officer asks of the log at one moment, as tables. One form for programs (JSON), one for printing (HTML)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from memfold.audit.bounds import Bounds
from memfold.verifier.html import Html, document, facts, items, table, tag


@dataclass(frozen=True, slots=True)
class Table:
    """`name` is its key in the JSON, `caption` its title on the page. Cells are texts, numbers, datetimes in UTC or None."""

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def table_of(name: str, caption: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Table:
    """The table of an answer's rows."""
    return Table(name, caption, columns, [[row[column] for column in columns] for row in rows])


@dataclass(frozen=True, slots=True)
class Report:
    """`about`: what it covers, and what it found in short; `bad`: what somebody has to act on; `figure` is on the page only."""

    name: str
    title: str
    about: Sequence[tuple[str, Any]]
    tables: Sequence[Table]
    bad: Sequence[str] = ()
    notes: Sequence[str] = ()
    figure: Html | None = None
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def json(self) -> dict[str, Any]:
        """{report, made_at, about, bad, and a list of rows for each table}; times in ISO 8601."""
        rows = {
            one.name: [dict(zip(one.columns, map(_plain, row), strict=True)) for row in one.rows]
            for one in self.tables
        }
        about = {name: _plain(value) for name, value in self.about}
        return {
            "report": self.name,
            "made_at": self.made_at.isoformat(),
            "about": about,
            "bad": list(self.bad),
            **rows,
        }

    def html(self) -> str:
        """One page: semantic, printable, without scripts, and nothing in it is loaded from anywhere."""
        bad = [tag("p", one, attributes='class="bad"') for one in self.bad]
        figure = [self.figure] if self.figure is not None else []
        tables = [part for one in self.tables for part in _section(one)]
        notes = [tag("h2", "How to read this"), items(self.notes)] if self.notes else []
        made = f"made {_shown(self.made_at)} UTC by memfold, from the log"
        about = facts([(name, _shown(value)) for name, value in self.about])
        return document(
            self.title,
            tag("h1", self.title),
            tag("p", made, attributes='class="lead"'),
            *bad,
            about,
            *figure,
            *tables,
            *notes,
        )


def window_of(bounds: Bounds) -> list[tuple[str, Any]]:
    """The rows of `about` that say what was asked."""
    since, until = (
        None if at is None else datetime.fromtimestamp(at / 1000, UTC) for at in (bounds.since, bounds.until)
    )
    span = f"{_shown(since) or 'the beginning'} to {_shown(until) or 'now'}"
    return [("tenant", bounds.tenant), ("user", bounds.scope.user_id or "everybody"), ("window (UTC)", span)]


def _section(one: Table) -> tuple[Html, Html]:
    columns = [column.replace("_", " ") for column in one.columns]
    return tag("h2", one.caption), table("", columns, [[_shown(cell) for cell in row] for row in one.rows])


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _shown(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M") if isinstance(value, datetime) else value
