"""Report `changes`: what came, changed and went, by day and kind."""

from __future__ import annotations

from collections import Counter

from memfold.audit.bounds import Bounds
from memfold.audit.day_chart import day_chart
from memfold.audit.full_log import FullLog
from memfold.audit.report import Report, Table, window_of

KINDS = {
    "ADD": "memories added",
    "UPDATE": "memories changed",
    "DELETE": "memories gone",
    "RESTORE": "memories back",
    "BEGIN": "relations begun",
    "END": "relations ended",
}
_CHANGES = """
SELECT moment::DATE AS day, kind, count(*) AS n FROM (
  SELECT valid_from AS moment, event AS kind FROM versions
  UNION ALL SELECT asserted_at, 'BEGIN' FROM relations
  UNION ALL SELECT ended_at, 'END' FROM relations WHERE ended_at IS NOT NULL
) WHERE moment >= make_timestamp({since}) GROUP BY ALL ORDER BY day, kind
"""


def changes_report(log: FullLog, bounds: Bounds) -> Report:
    """Days are those of UTC, by the broker's time. Raises TooMuchToOpen, QueryStopped, and what the log raises."""
    # A relation that ended inside the bounds may have begun before them.
    found = log.sql(_CHANGES.format(since=(bounds.since or 0) * 1000), bounds)
    counts = {(row["day"], KINDS[row["kind"]]): row["n"] for row in found.rows}
    totals = Counter[str]()
    for (_, kind), count in counts.items():
        totals[kind] += count
    kinds, days = list(KINDS.values()), sorted({day for day, _ in counts})
    rows = [[day.isoformat(), *(counts.get((day, kind), 0) for kind in kinds)] for day in days]
    about = [*window_of(bounds), *((kind, totals[kind]) for kind in kinds)]
    return Report(
        "changes", "Changes to memories", about, [Table("days", "Days on which something changed", ["day", *kinds], rows)],
        notes=["Counted from the events that count; what a retry wrote twice counts once.",
               "A memory is gone when it was deleted or cleared: out of view, not out of the log."],
        figure=day_chart(counts, kinds, title="Changes", none="Nothing changed."),
    )  # fmt: skip
