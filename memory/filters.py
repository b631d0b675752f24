"""Filters in Mem0's grammar, parsed and checked into a tree. What they mean is in matching.py; here is what may be written.

    {"topic": "work"}  {"topic": ["work", "home"]}  {"topic": "*"}          equal to, one of, there at all
    {"score": {"gte": 1, "lt": 5}}                                          eq ne gt gte lt lte in nin contains icontains
    {"AND": [...]}  {"OR": [...]}  {"NOT": {...} or [...]}                  to any depth; several fields side by side are AND

Fields are the scope's ids, those in `FIELDS`, and metadata: "topic", "metadata.topic", {"metadata": {"topic": …}}, and
"project.name" for what lies inside an object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.messages import checked_time
from memfold.memory.scopes import checked_id

IDS = ("user_id", "agent_id", "run_id", "actor_id")
TIMES = ("created_at", "updated_at")
FIELDS = (
    *IDS,
    *TIMES,
    "id",
    "memory",
    "role",
    "kind",
    "version",
    "pending",
    "relationship",
    "entity",
    "entity_type",
)
OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "icontains")
ORDERED = ("gt", "gte", "lt", "lte")
ANYTHING = "*"
DEEPEST = 200
_WORDS = ("AND", "OR", "NOT")
_TENANT = ("tenant", "tenant_id", "org_id")


class Condition(Struct, frozen=True, tag=True):
    """One field against one value. `field` is one of FIELDS, or "metadata." and a path. `there`: whether there is a value at all."""

    field: str
    operator: str
    value: Any = None


class All(Struct, frozen=True, tag=True):
    parts: tuple[Filter, ...] = ()


class Either(Struct, frozen=True, tag=True):
    parts: tuple[Filter, ...]


class Not(Struct, frozen=True, tag=True):
    part: Filter


Filter = Condition | All | Either | Not


def parsed(filters: object, ids: Mapping[str, object]) -> Filter:
    """The filters and the ids that were passed as arguments, as one tree. Raises InvalidInput, InvalidType."""
    given = [
        Condition(name, "eq", checked_id(name, value)) for name, value in ids.items() if value is not None
    ]
    return All((*given, *([] if filters is None else [_all(filters, "filters", 0)])))


def conjuncts(tree: Filter) -> Iterator[Filter]:
    """The parts that every match has to pass."""
    if isinstance(tree, All):
        for part in tree.parts:
            yield from conjuncts(part)
    else:
        yield tree


def tests(tree: Filter) -> Iterator[Condition]:
    """Every test, wherever it stands."""
    match tree:
        case Condition():
            yield tree
        case Not(part):
            yield from tests(part)
        case All(parts) | Either(parts):
            for part in parts:
                yield from tests(part)


def _all(filters: object, where: str, depth: int) -> Filter:
    if not isinstance(filters, Mapping):
        raise InvalidType(f"{where} must be a dict, not {type(filters).__name__}")
    if depth > DEEPEST:
        raise InvalidInput(f"filters are nested more than {DEEPEST} deep; write fewer levels")
    parts = tuple(_part(name, value, where, depth) for name, value in filters.items())
    return parts[0] if len(parts) == 1 else All(parts)


def _part(name: object, value: object, where: str, depth: int) -> Filter:
    if not isinstance(name, str):
        raise InvalidType(f"{where} has the key {name!r}; keys are strings")
    inside = f"{where}[{name!r}]"
    if name in _WORDS:
        return _combined(name, value, inside, depth + 1)
    if name.strip("$").upper() in _WORDS:
        raise InvalidInput(f"{where} has {name!r}; write {name.strip('$').upper()!r}")
    if name in _TENANT:
        raise InvalidInput(
            f"{inside}: the tenant is that of the deployment, no filter reaches another one; leave it out"
        )
    if name == "metadata":
        if not isinstance(value, Mapping):
            raise InvalidType(f"{inside} must be a dict of metadata fields, not {type(value).__name__}")
        return All(tuple(_field(f"metadata.{key}", one, inside) for key, one in value.items()))
    return _field(
        name if name in FIELDS or name.startswith("metadata.") else f"metadata.{name}", value, inside
    )


def _combined(word: str, value: object, where: str, depth: int) -> Filter:
    if word == "NOT" and isinstance(value, Mapping):
        return Not(_all(value, where, depth))
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise InvalidType(f"{where} must be a list of filters, not {type(value).__name__}")
    if not value:
        raise InvalidInput(f"{where} is empty; leave it out or name what it is about")
    parts = tuple(_all(part, f"{where}[{number}]", depth) for number, part in enumerate(value))
    if word == "AND":
        return All(parts)
    return Either(parts) if word == "OR" else Not(Either(parts))


def _field(field: str, value: object, where: str) -> Filter:
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in OPERATORS]
        if unknown or not value:
            raise InvalidInput(
                f"{where} has {unknown[0] if unknown else 'nothing'!r}, which is no operator ({', '.join(OPERATORS)}); what lies "
                f"inside an object is named by a path, {field + '.…'!r}, and a whole object compared with eq"
            )
        parts = tuple(_test(field, name, one, where) for name, one in value.items())
        return parts[0] if len(parts) == 1 else All(parts)
    if isinstance(value, str) and value == ANYTHING:
        return Not(_test(field, "eq", None, where))
    return _test(field, "in" if isinstance(value, list | tuple) else "eq", value, where)


def _test(field: str, operator: str, value: object, where: str) -> Condition:
    if operator in ("in", "nin"):
        if not isinstance(value, list | tuple | set | frozenset):
            raise InvalidType(f"{where}: {operator} wants a list, not {type(value).__name__}")
        return Condition(field, operator, tuple(_value(field, one, where) for one in value))
    checked = _value(field, value, where)
    if operator in ORDERED and (checked is None or isinstance(checked, bool | list | dict)):
        raise InvalidType(f"{where}: {operator} compares numbers, texts and times, not {value!r:.80}")
    if operator in ("contains", "icontains") and operator == "icontains" and not isinstance(checked, str):
        raise InvalidType(f"{where}: {operator} looks for a text, not {value!r:.80}")
    return Condition(field, operator, checked)


def _value(field: str, value: object, where: str) -> Any:
    """What a field is compared with, in the type that it has in a memory."""
    if value is None:
        return None
    if field in IDS:
        return checked_id(where, value)
    if field in TIMES:
        return checked_time(value)
    if isinstance(value, datetime):
        raise InvalidType(
            f"{where} is a datetime; metadata holds JSON: pass the text or the number that was stored"
        )
    return _json(value, where)


def _json(value: object, where: str) -> Any:
    if isinstance(value, float) and value != value:
        raise InvalidInput(f"{where} is NaN, which equals nothing")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_json(one, where) for one in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _json(one, where) for key, one in value.items()}
    raise InvalidType(f"{where} has {value!r:.80}, which has no JSON form")
