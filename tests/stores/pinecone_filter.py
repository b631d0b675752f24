"""Pinecone's filter language over metadata, as its documentation has it: a field that is not there passes no comparison."""

from __future__ import annotations

from collections.abc import Mapping
from operator import eq, ge, gt, le, lt
from typing import Any

_NUMBERS = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


def passes(asked: Mapping[str, Any] | None, metadata: Mapping[str, Any]) -> bool:
    """Whether metadata passes. Raises ValueError for what Pinecone would refuse."""
    for name, wanted in (asked or {}).items():
        if name == "$and":
            if not all(passes(one, metadata) for one in wanted):
                return False
        elif not all(_compared(metadata.get(name), *test) for test in wanted.items()):
            return False
    return True


def _compared(value: Any, operator: str, wanted: Any) -> bool:
    if operator in _NUMBERS:
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            raise ValueError(f"{operator} compares numbers, not {wanted!r}")
        return value is not None and _NUMBERS[operator](value, wanted)
    if operator == "$in":
        return value in wanted
    if operator == "$eq":
        return value is not None and eq(value, wanted)
    raise ValueError(f"{operator} is not played")
