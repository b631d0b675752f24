"""A filter as a condition for LanceDB, as far as LanceDB can tell: the rest is left for Python, on the rows that pass the condition.

What is compiled means exactly what memory/matching.py says of it. Metadata and relations are JSON in one column each, which
LanceDB cannot look into; folding of case is not the same there as in Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from memfold.memory.filters import All, Condition, Either, Filter, Not, conjuncts
from memfold.projections.vector_filter import literal
from memfold.projections.vector_fold import micros

_TEXTS = {
    **{name: name for name in ("user_id", "agent_id", "run_id", "actor_id", "role", "kind")},
    "id": "memory_id",
    "memory": "text",
}
_TIMES = ("created_at", "updated_at")
_ORDER = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NEVER, _ALWAYS = "(1 = 0)", "(1 = 1)"
DEEPEST = 12
"""LanceDB's parser refuses what is nested some forty deep; each level of a filter is up to three of its."""


class Compiled(NamedTuple):
    """Conditions that all have to hold, and what Python still has to ask of the rows."""

    conditions: list[str]
    rest: Filter | None


def compiled(tree: Filter) -> Compiled:
    """Never more than LanceDB can tell exactly, never less of what stands side by side."""
    conditions, rest = [], []
    for part in conjuncts(tree):
        condition = _condition(part, 0)
        if condition is None:
            rest.append(part)
        else:
            conditions.append(condition)
    return Compiled(conditions, All(tuple(rest)) if rest else None)


def _condition(tree: Filter, depth: int) -> str | None:
    """A condition that is true or false, never NULL: under NOT a NULL would leave out what passes. None for what cannot be told."""
    if depth > DEEPEST:
        return None
    match tree:
        case Condition():
            return _test(tree)
        case Not(part):
            inner = _condition(part, depth + 1)
            return None if inner is None else f"(NOT {inner})"
        case All(parts):
            return _joined(" AND ", _ALWAYS, parts, depth)
        case Either(parts):
            return _joined(" OR ", _NEVER, parts, depth)


def _joined(word: str, empty: str, parts: Iterable[Filter], depth: int) -> str | None:
    found = [_condition(part, depth + 1) for part in parts]
    known = [condition for condition in found if condition is not None]
    if len(known) < len(found):
        return None
    return f"({word.join(known)})" if known else empty


def _test(test: Condition) -> str | None:
    match test.operator:
        case "ne":
            equal = _equal(test.field, test.value)
            return None if equal is None else f"(NOT {equal})"
        case "eq":
            return _equal(test.field, test.value)
        case "in" | "nin":
            found = _joined(" OR ", _NEVER, [Condition(test.field, "eq", one) for one in test.value], 0)
            return found if found is None or test.operator == "in" else f"(NOT {found})"
        case "contains" if test.field in _TEXTS and test.value and isinstance(test.value, str):
            column = _TEXTS[test.field]
            return f"({column} IS NOT NULL AND strpos({column}, {literal(test.value)}) > 0)"
        case "gt" | "gte" | "lt" | "lte":
            return _compared(test.field, _ORDER[test.operator], test.value)
    return None


def _equal(field: str, value: Any) -> str | None:
    if field == "kind" and value in (None, ""):
        # An empty kind is none at all.
        return "(kind = '')" if value is None else _NEVER
    if value is None:
        if field in _TEXTS:
            return f"({_TEXTS[field]} IS NULL)"
        return _NEVER if field in (*_TIMES, "version", "pending") else None
    if field == "pending":
        return f"(pending = {str(value).lower()})" if isinstance(value, bool) else _NEVER
    return _compared(field, "=", value)


def _compared(field: str, sign: str, value: Any) -> str | None:
    """A comparison with a value; false for one of another type."""
    if field in _TEXTS:
        column = _TEXTS[field]
        empty = " AND kind != ''" if field == "kind" else ""
        if not isinstance(value, str):
            return _NEVER
        return f"({column} IS NOT NULL{empty} AND {column} {sign} {literal(value)})"
    if field in _TIMES:
        # A number of microseconds instead of a time literal, which would lose digits or the zone.
        moment = micros(value) if isinstance(value, datetime) else None
        return _NEVER if moment is None else f"(CAST({field} AS BIGINT) {sign} {moment})"
    if field == "version" and isinstance(value, int) and not isinstance(value, bool):
        return f"(version {sign} {value})" if abs(value) < 2**31 else None
    return None
