"""What a filter means, written a second time and in another way: filters as callers write them, on memories as plain dicts.

Random filters and memories for both come from here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from memfold.memory.entities import entity_key
from memfold.memory.ports import MemoryRow
from memfold.schemas.records import RelationChange, Scope

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
Plain = dict[str, Any]

names = st.sampled_from(["alex", "kim", "a'b", "Research", "100%", "_", "straße", "STRASSE", "\\", "☕"])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.0]), names, st.just("")
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(names, scalars, max_size=2))
keys = st.sampled_from(["topic", "score", "a.b", "a", "b", "tags"])
metadata = st.dictionaries(
    keys, st.one_of(values, st.dictionaries(keys, values, max_size=2), st.lists(st.dictionaries(keys, values))), max_size=4
)  # fmt: skip
moments = st.integers(0, 5).map(lambda days: EPOCH + timedelta(days=days))
relations = st.tuples(
    st.sampled_from(["alex", "Sarah", "Google Inc."]),
    st.sampled_from(["WORKS_AT", "MET"]),
    st.sampled_from(["Google", "Sarah", "tea"]),
    st.sampled_from(["PERSON", "THING"]),
)
memories = st.fixed_dictionaries(
    {
        "user_id": names,
        "agent_id": st.none() | names,
        "run_id": st.none() | names,
        "actor_id": st.none() | names,
        "memory": names,
        "role": st.none() | st.sampled_from(["user", "assistant"]),
        "kind": st.sampled_from([None, "health", "work"]),
        "version": st.integers(1, 3),
        "pending": st.booleans(),
        "created_at": moments,
        "updated_at": moments,
        "metadata": metadata,
        "relations": st.lists(relations, max_size=2),
    }
)

_IDS = ["user_id", "agent_id", "run_id", "actor_id"]
_own = st.sampled_from([*_IDS, "memory", "role", "kind", "version", "pending"])
_related = st.sampled_from(["relationship", "entity", "entity_type"])
_paths = st.sampled_from(
    ["topic", "score", "tags", "a", "b", "a.b", "a.topic", "metadata.topic", "metadata.a.b", "tags.a"]
)
_relation_values = st.sampled_from(["WORKS_AT", "MET", "google", "Google", "sarah", "PERSON", "nothing"])
_ordered = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.0]), names)


def _operators(wanted: st.SearchStrategy[Any], ordered: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    one = st.one_of(
        st.tuples(st.sampled_from(["eq", "ne"]), wanted),
        st.tuples(st.sampled_from(["in", "nin"]), st.lists(wanted, max_size=3)),
        st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), ordered),
    )
    text = st.tuples(
        st.sampled_from(["contains", "icontains"]), names | st.sampled_from(["", "a", "S", "ss"])
    )
    return st.lists(one | text, min_size=1, max_size=2).map(dict)


_moment_text = moments.map(datetime.isoformat) | moments
_tests = st.one_of(
    st.tuples(_own, st.one_of(_operators(scalars, _ordered), names, st.lists(names, max_size=2), st.just("*"))),
    st.tuples(_paths, st.one_of(_operators(values, _ordered), scalars, st.lists(scalars, max_size=2), st.just("*"))),
    st.tuples(_related, st.one_of(_operators(_relation_values, _relation_values), _relation_values, st.just("*"))),
    st.tuples(
        st.sampled_from(["created_at", "updated_at"]),
        st.one_of(
            st.tuples(st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), _moment_text).map(lambda p: dict([p])),
            st.lists(_moment_text, max_size=2),
            st.just("*"),
        ),
    ),
    st.tuples(st.just("metadata"), st.dictionaries(keys, scalars, max_size=2)),
)  # fmt: skip
_leaves = st.lists(_tests, min_size=1, max_size=2).map(dict)
filters: st.SearchStrategy[Plain] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"AND": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"OR": parts}),
        (st.lists(inner, min_size=1, max_size=2) | inner).map(lambda part: {"NOT": part}),
        st.tuples(inner, _tests).map(lambda two: {**two[0], two[1][0]: two[1][1]}),
    ),
    max_leaves=8,
)


def plain(row: MemoryRow) -> Plain:
    """A row as a plain dict."""
    found: Plain = dict(zip(_IDS, row.scope.ids(), strict=True))
    ends = [(r.source, r.relationship, r.target, r.source_type) for r in row.relations]
    return found | {
        "memory": row.text,
        "role": row.role,
        "kind": row.kind or None,
        "version": row.version,
        "pending": row.pending,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "metadata": json.loads(row.metadata),
        "relations": ends,
    }


def row_of(memory: Plain, memory_id: str = "m") -> MemoryRow:
    """The other way."""
    changes = [
        RelationChange("ASSERT", f"{memory_id}/{n}", memory_id, source, name, target, kind, kind)
        for n, (source, name, target, kind) in enumerate(memory["relations"])
    ]
    return MemoryRow(
        "acme",
        "subject",
        memory_id,
        memory["version"],
        memory["memory"],
        Scope(*(memory[name] for name in _IDS)),
        memory["created_at"],
        memory["updated_at"],
        memory["created_at"],
        role=memory["role"],
        metadata=json.dumps(memory["metadata"]),
        relations=changes,
        kind=memory["kind"] or "",
        pending=memory["pending"],
    )


def passes(filters: Plain, memory: Plain) -> bool:
    """Whether a memory passes filters as they are written."""
    for name, wanted in filters.items():
        if name == "AND":
            good = all(passes(part, memory) for part in wanted)
        elif name == "OR":
            good = any(passes(part, memory) for part in wanted)
        elif name == "NOT":
            parts = [wanted] if isinstance(wanted, dict) else wanted
            good = not any(passes(part, memory) for part in parts)
        elif name == "metadata":
            good = all(_field(f"metadata.{key}", one, memory) for key, one in wanted.items())
        else:
            good = _field(name, wanted, memory)
        if not good:
            return False
    return True


def _field(name: str, wanted: Any, memory: Plain) -> bool:
    if isinstance(wanted, dict):
        return all(_operator(name, operator, one, memory) for operator, one in wanted.items())
    if wanted == "*" and isinstance(wanted, str):
        return any(value is not None for value in _held(name, memory))
    return _operator(name, "in" if isinstance(wanted, list) else "eq", wanted, memory)


def _held(name: str, memory: Plain) -> list[Any]:
    if name in ("relationship", "entity", "entity_type"):
        found: list[Any] = []
        for source, relationship, target, kind in memory["relations"]:
            ends = {"relationship": [relationship], "entity": [source, target], "entity_type": [kind]}
            found += ends[name]
        return found
    if name in memory and name not in ("metadata", "relations"):
        return [memory[name]]
    return _path(memory["metadata"], name.removeprefix("metadata."))


def _path(value: Any, path: str) -> list[Any]:
    if isinstance(value, list):
        return [found for one in value for found in _path(one, path)]
    if not isinstance(value, dict):
        return []
    if path in value:
        held = value[path]
        return [held, *held] if isinstance(held, list) else [held]
    pieces = path.split(".")
    found = []
    for cut in range(1, len(pieces)):
        head, tail = ".".join(pieces[:cut]), ".".join(pieces[cut:])
        if head in value:
            found += _path(value[head], tail)
    return found


def _operator(name: str, operator: str, wanted: Any, memory: Plain) -> bool:
    if operator == "ne":
        return not _operator(name, "eq", wanted, memory)
    if operator == "nin":
        return not _operator(name, "in", wanted, memory)
    if operator == "in":
        return any(_operator(name, "eq", one, memory) for one in wanted)
    held = _held(name, memory)
    if name in ("created_at", "updated_at") and isinstance(wanted, str):
        wanted = datetime.fromisoformat(wanted)
    if operator == "eq":
        if wanted is None:
            return not any(value is not None for value in held)
        return any(_equal(name, value, wanted) for value in held)
    if operator == "contains":
        return any(
            (isinstance(value, str) and isinstance(wanted, str) and wanted in value)
            or (isinstance(value, list) and any(_equal(name, one, wanted) for one in value))
            for value in held
        )
    if operator == "icontains":
        return any(isinstance(value, str) and wanted.casefold() in value.casefold() for value in held)
    sign = {"gt": (1,), "gte": (0, 1), "lt": (-1,), "lte": (-1, 0)}[operator]
    return any(_kind(value) == _kind(wanted) and _order(value, wanted) in sign for value in held)


def _order(value: Any, wanted: Any) -> int | None:
    if _kind(value) not in ("number", "text", "time"):
        return None
    return int(value > wanted) - int(value < wanted)


def _equal(name: str, value: Any, wanted: Any) -> bool:
    if name == "entity" and isinstance(value, str) and isinstance(wanted, str):
        return entity_key(value) == entity_key(wanted)
    return bool(_typed(value) == _typed(wanted))


def _typed(value: Any) -> Any:
    """The value with its types written into it, so that == is equality of JSON."""
    if isinstance(value, list):
        return ["list", [_typed(one) for one in value]]
    if isinstance(value, dict):
        return ["object", {key: _typed(one) for key, one in value.items()}]
    return [_kind(value), value]


def _kind(value: Any) -> str:
    for kind, name in ((bool, "truth"), (int | float, "number"), (str, "text"), (datetime, "time")):
        if isinstance(value, kind):
            return name
    return type(value).__name__
