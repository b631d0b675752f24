"""What a filter means: whether one memory passes it. The definition that every compiled form is tested against.

- A field that holds a list passes when the list itself or one of its elements does; `ne` and `nin` are the opposites of `eq` and
  `in`, so they pass where there is no value.
- Types are JSON's: 1 and 1.0 are equal, 1 and True and "1" are not. Order is among numbers, among texts (by code point) and among
  times; nothing of one type is before or behind anything of another.
- `contains` looks for a text inside a text; in a list for an element. `icontains` does so without regard to case.
- "eq None" passes where there is no value or null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any

from memfold.memory.entities import entity_key
from memfold.memory.filters import All, Condition, Either, Filter, Not
from memfold.memory.ports import MemoryRow
from memfold.schemas.records import RelationChange

_ORDER: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


def matches(tree: Filter, row: MemoryRow) -> bool:
    """Whether a memory passes."""
    match tree:
        case Condition():
            return _passes(tree, row)
        case All(parts):
            return all(matches(part, row) for part in parts)
        case Either(parts):
            return any(matches(part, row) for part in parts)
        case Not(part):
            return not matches(part, row)


def _passes(test: Condition, row: MemoryRow) -> bool:
    match test.operator:
        case "ne":
            return not _passes(Condition(test.field, "eq", test.value), row)
        case "nin":
            return not _passes(Condition(test.field, "in", test.value), row)
        case "in":
            return any(_passes(Condition(test.field, "eq", one), row) for one in test.value)
        case "eq" if test.value is None:
            return all(value is None for value in values_of(test.field, row))
    return any(_holds(test, value) for value in values_of(test.field, row))


def _holds(test: Condition, value: Any) -> bool:
    if test.operator == "eq":
        return _same(test.field, value, test.value)
    if test.operator == "contains":
        if isinstance(value, str) and isinstance(test.value, str):
            return test.value in value
        return isinstance(value, list) and any(_same(test.field, one, test.value) for one in value)
    if test.operator == "icontains":
        return isinstance(value, str) and test.value.casefold() in value.casefold()
    return _comparable(value, test.value) and _ORDER[test.operator](value, test.value)


def values_of(field: str, row: MemoryRow) -> Iterator[Any]:
    """What a field holds: nothing, one value, several; of a list in metadata the list and then each of its elements."""
    match field:
        case "user_id" | "agent_id" | "run_id" | "actor_id":
            yield getattr(row.scope, field)
        case "created_at" | "updated_at" | "role" | "version" | "pending":
            yield getattr(row, field)
        case "id":
            yield row.memory_id
        case "memory":
            yield row.text
        case "kind":
            yield row.kind or None
        case "relationship":
            yield from (relation.relationship for relation in row.relations)
        case "entity" | "entity_type":
            yield from (end for relation in row.relations for end in _ends(field, relation))
        case _:
            yield from _inside(_metadata(row.metadata), field.removeprefix("metadata."))


def _ends(field: str, relation: RelationChange) -> tuple[str, ...]:
    if field == "entity_type":
        return relation.source_type, relation.target_type
    # A relation of the first version has no ids, and no id is not an id that orders before every name.
    ids = (entity for entity in (relation.source_entity, relation.target_entity) if entity)
    return relation.source, relation.target, *ids


def _spread(found: Any) -> Iterator[Any]:
    yield found
    if isinstance(found, list):
        yield from found


def _inside(value: Any, path: str) -> Iterator[Any]:
    """What lies at a path. A key that has the dots in its name comes before a path; through a list, into each of its elements."""
    if isinstance(value, list):
        for one in value:
            yield from _inside(one, path)
    elif isinstance(value, dict):
        if path in value:
            yield from _spread(value[path])
            return
        for end in (place for place, letter in enumerate(path) if letter == "."):
            if path[:end] in value:
                yield from _inside(value[path[:end]], path[end + 1 :])


@lru_cache(maxsize=50_000)
def _metadata(text: str) -> Any:
    # Shared between calls: nobody may change it.
    return json.loads(text)


def _same(field: str, value: Any, wanted: Any) -> bool:
    if field == "entity" and isinstance(value, str) and isinstance(wanted, str):
        return value == wanted or entity_key(value) == entity_key(wanted)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(_same("", a, b) for a, b in zip(value, wanted, strict=True))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_same("", value[key], wanted[key]) for key in value)
    return _comparable(value, wanted) and bool(value == wanted)


def _comparable(value: Any, wanted: Any) -> bool:
    for kind in (str, datetime):
        if isinstance(value, kind) or isinstance(wanted, kind):
            return isinstance(value, kind) and isinstance(wanted, kind)
    return _number(value) and _number(wanted)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
