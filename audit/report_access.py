"""Report `access`: who read whose memories, what for, and who was refused."""

from __future__ import annotations

from memfold.audit.bounds import Bounds
from memfold.audit.day_chart import day_chart
from memfold.audit.full_log import FullLog
from memfold.audit.report import Report, table_of, window_of

# A call leaves a row for each subject that it touched; `count` in each is the call's, so it is taken once.
_CALLS = """
(SELECT read_id, any_value(actor) AS actor, any_value(purpose) AS purpose, any_value(verb) AS verb, any_value(decision) AS decision,
  any_value(error) AS error, any_value("count") AS results, min(time) AS time
FROM reads GROUP BY read_id)
"""
_TOLD = """
count(*) AS reads, sum(results)::BIGINT AS results, count(*) FILTER (decision = 'denied') AS denied,
  count(*) FILTER (decision = 'failed') AS failed, min(time) AS first, max(time) AS last
"""
_READERS = f"SELECT actor, purpose, {_TOLD} FROM {_CALLS} GROUP BY ALL ORDER BY reads DESC, actor, purpose"
_VERBS = f"SELECT verb, {_TOLD} FROM {_CALLS} GROUP BY ALL ORDER BY reads DESC, verb"
# What is nobody's stands on the log of the tenant itself.
_WHOSE = """
SELECT s.kind, coalesce(s.id, 'erased') AS id, actor, purpose, count(DISTINCT read_id) AS reads,
  count(DISTINCT given) FILTER (given <> '*') AS memories, coalesce(bool_or(given = '*'), false) AS all_of_them, max(time) AS last
FROM (SELECT *, unnest(CASE WHEN len(memory_ids) = 0 THEN [NULL] ELSE memory_ids END) AS given FROM reads
  WHERE subject NOT IN (SELECT subject FROM subjects WHERE kind = 'tenant'))
  LEFT JOIN subjects s USING (subject) GROUP BY ALL ORDER BY s.kind, id, reads DESC, actor, purpose
"""
_REFUSED = f"""
SELECT time, actor, purpose, verb, decision, error FROM {_CALLS} WHERE decision <> 'allowed' ORDER BY time, read_id
"""
_DAYS = f"SELECT time::DATE AS day, decision, count(*) AS n FROM {_CALLS} GROUP BY ALL ORDER BY day, decision"
_COUNTS = ["reads", "results", "denied", "failed", "first", "last"]
DECISIONS = ["allowed", "denied", "failed"]
REFUSALS = 500
"""Refused and failed reads that are listed one by one, the newest."""


def access_report(log: FullLog, bounds: Bounds) -> Report:
    """Counted from the read events that count, each call once. Raises as `changes_report`."""
    asked = log.several([_READERS, _WHOSE, _VERBS, _REFUSED, _DAYS], bounds)
    readers, whose, verbs, refused, days = (answer.rows for answer in asked)
    total = {decision: sum(row["n"] for row in days if row["decision"] == decision) for decision in DECISIONS}
    chart = {(row["day"], row["decision"]): row["n"] for row in days}
    shown = refused[-REFUSALS:]
    about = [
        *window_of(bounds),
        ("reads", sum(total.values())),
        *total.items(),
        ("whose memories were read", len({(row["kind"], row["id"]) for row in whose})),
    ]
    return Report("access", "Who read memories", about, [
        table_of("readers", "Who read, and what for", ["actor", "purpose", *_COUNTS], readers),
        table_of("whose", "Whose memories were read, and by whom",
               ["kind", "id", "actor", "purpose", "reads", "memories", "all_of_them", "last"], whose),
        table_of("verbs", "By what", ["verb", *_COUNTS], verbs),
        table_of("refused", _caption(len(shown), len(refused)),
               ["time", "actor", "purpose", "verb", "decision", "error"], shown),
    ], notes=[
        "Counted from memfold.access: one read for each call, however many persons' memories it gave. "
        "While `audit.reads` was off nothing was recorded, and nothing of that time is here.",
        "Actor and purpose are what the caller said of itself.",
        "Memories: different ones that came back. All of them: an answer such as an export, which does not list what it gave.",
        "Who opens the projections' files, or has the key store, reads unseen.",
    ], figure=day_chart(chart, DECISIONS, title="Reads", none="Nothing was read, or nothing was recorded."))  # fmt: skip


def _caption(shown: int, found: int) -> str:
    return "Denied and failed" if shown == found else f"Denied and failed: the newest {shown} of {found}"
