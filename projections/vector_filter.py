"""Filters for LanceDB, as SQL text. Every value passes through `literal`; column names are this project's own.

LanceDB's typed expressions know no IS NULL, and lower themselves to SQL text when they are mixed with one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from memfold.schemas.records import Scope

CURRENT = "valid_to IS NULL"


def current_at(moment: datetime) -> str:
    """The versions that were current at an aware moment: a version begins with its first microsecond and ends before its last."""
    then = f"timestamp '{moment.astimezone(UTC).isoformat(timespec='microseconds')}'"
    return f"valid_from <= {then} AND (valid_to IS NULL OR valid_to > {then})"


def literal(value: str) -> str:
    """A string literal. The only special character in LanceDB's SQL is the quote; backslash, NUL and newline stand for themselves."""
    return "'" + value.replace("'", "''") + "'"


def equal(column: str, value: str) -> str:
    return f"{column} = {literal(value)}"


def one_of(column: str, values: Iterable[str]) -> str:
    return f"{column} IN ({', '.join(map(literal, values))})"


def every(*conditions: str) -> str:
    return " AND ".join(conditions)


def inside(scope: Scope) -> list[str]:
    """One condition for each id that the scope sets."""
    names = ("user_id", "agent_id", "run_id", "actor_id")
    return [equal(name, value) for name, value in zip(names, scope.ids(), strict=True) if value is not None]
