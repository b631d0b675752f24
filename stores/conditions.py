"""A filter as tests that every store can make, as far as that goes exactly: the rest is asked in Python, of more rows than wanted.

What is compiled means what memory/matching.py says of it. Only comparisons of the row's own fields that stand side by side are;
OR, NOT, metadata, relations and texts inside texts differ too much from store to store.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, cast

from memfold.memory.filters import All, Condition, Filter, conjuncts
from memfold.projections.vector_fold import micros
from memfold.schemas.records import Scope
from memfold.stores.payload import FOREVER
from memfold.stores.port import Operator, Test

IDS = ("user_id", "agent_id", "run_id", "actor_id")
TEXTS = {**{name: name for name in (*IDS, "role", "kind")}, "id": "memory_id"}
TIMES = ("created_at", "updated_at")
FILTERED = ("tenant", "subject", *TEXTS.values(), "version", "pending", *TIMES, "valid_from", "valid_to")
"""The payload's fields that tests may name: what a store should have an index on."""
SQL_SIGNS: Mapping[str, LiteralString] = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
"""How a store that is asked in SQL compares."""
_SAME = ("eq", "in")
_ORDER = ("gt", "gte", "lt", "lte")


class Compiled(NamedTuple):
    """Tests that a store makes, and what Python still has to ask of the rows."""

    tests: tuple[Test, ...]
    rest: Filter | None


def standing(moment: datetime | None) -> tuple[Test, ...]:
    """The versions that are current, or were at an aware moment."""
    if moment is None:
        return (Test("valid_to", "eq", FOREVER),)
    return Test("valid_from", "lte", micros(moment)), Test("valid_to", "gt", micros(moment))


def inside(tenant: str, subject: str | None, scope: Scope) -> tuple[Test, ...]:
    """The tenant's rows inside a scope; `subject` None: of every subject."""
    given = {"tenant": tenant, "subject": subject, **dict(zip(IDS, scope.ids(), strict=True))}
    return tuple(Test(field, "eq", value) for field, value in given.items() if value is not None)


def compiled(tree: Filter) -> Compiled:
    """Nothing that a store would see differently, and nothing left out: what is no test is in `rest`."""
    tests: list[Test] = []
    rest: list[Filter] = []
    for part in conjuncts(tree):
        test = _test(part) if isinstance(part, Condition) else None
        if test is None:
            rest.append(part)
        else:
            tests.append(test)
    return Compiled(tuple(tests), All(tuple(rest)) if rest else None)


def _test(one: Condition) -> Test | None:
    values = one.value if one.operator == "in" else (one.value,)
    if one.field in TEXTS and one.operator in _SAME and values and all(map(_whole_text, values)):
        return Test(TEXTS[one.field], cast(Operator, one.operator), one.value)
    if one.field in TIMES and isinstance(one.value, datetime) and one.operator in ("eq", *_ORDER):
        return Test(one.field, cast(Operator, one.operator), micros(one.value))
    if one.field == "pending" and one.operator == "eq" and isinstance(one.value, bool):
        return Test("pending", "eq", one.value)
    if one.field == "version" and one.operator in ("eq", *_ORDER) and _small(one.value):
        return Test("version", cast(Operator, one.operator), one.value)
    return None


def _whole_text(value: Any) -> bool:
    """An empty kind is none at all, which a store does not know."""
    return isinstance(value, str) and value != ""


def _small(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
