"""Report `models`: which models saw whose data, and how they answered."""

from __future__ import annotations

from memfold.audit.bounds import Bounds
from memfold.audit.full_log import FullLog
from memfold.audit.report import Report, table_of, window_of

_MODELS = """
SELECT provider, model, purpose, count(*) AS calls, count(*) FILTER (error <> '') AS failed, count(DISTINCT subject) AS subjects,
  sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens, min(time) AS first, max(time) AS last
FROM model_calls GROUP BY ALL ORDER BY provider, model, purpose
"""
_WHOSE = """
SELECT provider, model, s.kind, coalesce(s.id, 'erased') AS id, count(*) AS calls, sum(len(shown))::BIGINT AS memories_shown,
  max(time) AS last
FROM model_calls c LEFT JOIN subjects s USING (subject) GROUP BY ALL ORDER BY provider, model, s.kind, id
"""
MODELS = [
    "provider",
    "model",
    "purpose",
    "calls",
    "failed",
    "subjects",
    "input_tokens",
    "output_tokens",
    "first",
    "last",
]
WHOSE = ["provider", "model", "kind", "id", "calls", "memories_shown", "last"]


def models_report(log: FullLog, bounds: Bounds) -> Report:
    """Raises as `changes_report`."""
    models, whose = (answer.rows for answer in log.several([_MODELS, _WHOSE], bounds))
    calls, failed = (sum(row[name] for row in models) for name in ("calls", "failed"))
    about = [
        *window_of(bounds),
        ("models", len({(row["provider"], row["model"]) for row in models})),
        ("calls", calls),
        ("failed", failed),
    ]
    return Report(
        "models", "Models, and whose data they saw", about,
        [table_of("models", "Models", MODELS, models),
         table_of("whose", "Whose data each model saw", WHOSE, whose)],
        notes=["The offline models run inside memfold and make no calls: what only they saw is not here, and did not leave the machine.",
               "Memories shown: how often a memory that was there already was shown to the model, beside what was said."],
    )  # fmt: skip
