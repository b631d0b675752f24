"""A measured row: the figure, what was wanted, and the limit measured beside it in the same run."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """`wanted` is the least (or, for times and sizes, the most) that was asked for; `limit` what the bare parts do here."""

    measure: str
    value: str
    wanted: str = ""
    limit: str = ""
    ok: bool | None = None


def rate(number: float) -> str:
    return f"{number:,.0f}/s"


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    ordered = sorted(seconds)
    return statistics.median(ordered) * 1e3, ordered[int(len(ordered) * 0.95)] * 1e3


def machine() -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return f"{len(models)} cores of {models[0]}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the end"


def report(rows: Sequence[Row]) -> Path:
    """Print the table and write it as JSON; the file's path."""
    table = Table(title=f"{datetime.now(UTC):%Y-%m-%d}, {machine()}", title_justify="left")
    for column in ("measure", "measured", "wanted", "", "limit in the same run"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row.measure, row.value, row.wanted, {True: "ok", False: "MISSED", None: ""}[row.ok], row.limit
        )
    Console(width=170).print(table)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    path.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))
    return path
