"""Operations, relations and clears of many opened events as Arrow tables: what the folds of the past need of a body, and no more."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.schemas.columns import Fields, Flags, Ints, Items, Nullable, Slices
from memfold.schemas.envelope_columns import slices
from memfold.schemas.opening_columns import Bodies, OpenedColumns

_WORDS = pa.dictionary(pa.int32(), pa.large_string())
"""For what many rows have in common."""
_TEXT = pa.large_string()
_PLACE = [("offset", pa.int64()), ("time", pa.int64()), ("subject", _WORDS)]
_IDS = [("user_id", _WORDS), ("agent_id", _WORDS), ("run_id", _WORDS), ("actor_id", _WORDS)]
_BY = [("event_id", _TEXT), ("command_id", _TEXT)]
OPERATIONS = pa.schema([
    *_PLACE, ("ordinal", pa.int64()), ("op", _WORDS), ("memory_id", _TEXT), ("version", pa.int64()), ("text", _TEXT), *_IDS,
    ("role", _WORDS), ("metadata", _WORDS), ("kind", _WORDS), ("pending", pa.bool_()), ("when", _WORDS), *_BY,
])  # fmt: skip
"""`time` is the broker's, in milliseconds."""
RELATIONS = pa.schema([
    *_PLACE, ("ordinal", pa.int64()), ("op", _WORDS), ("assertion_id", _TEXT), ("memory_id", _TEXT), ("source", _WORDS),
    ("source_type", _WORDS), ("relationship", _WORDS), ("target", _WORDS), ("target_type", _WORDS), ("confidence", pa.float64()),
    ("valid_from", pa.timestamp("us", "UTC")), ("valid_to", pa.timestamp("us", "UTC")), *_IDS, ("scoped", pa.bool_()), *_BY,
])  # fmt: skip
"""The ids are those of the operation on the same memory in the same event; `scoped` tells whether there is one."""
CLEARS = pa.schema([*_PLACE, ("whole_tenant", pa.bool_())])
_DEFAULTS = {"kind": "", "when": "", "pending": False, "valid_from": None, "valid_to": None}
"""Of the fields that a body of an older schema does not have; the same as in `records`."""


class EventRows:
    """The rows of opened events: `counted` are those whose changes count, `offsets` and `times` are of all records."""

    def __init__(self, opened: OpenedColumns, counted: Flags, offsets: Ints, times: Ints) -> None:
        self._opened, self._counted = opened, counted
        self._offsets, self._times = offsets, times

    def operations(self) -> pa.Table:
        return self._table(OPERATIONS, "operations")

    def relations(self) -> pa.Table:
        return self._table(RELATIONS, "relations")

    def clears(self) -> pa.Table:
        return self._table(CLEARS, "clears")

    def _table(self, schema: pa.Schema, name: str) -> pa.Table:
        parts = [self._part(schema, name, bodies) for bodies in self._opened.bodies if name in bodies.fields]
        return pa.concat_tables([schema.empty_table(), *parts])

    def _part(self, schema: pa.Schema, name: str, bodies: Bodies) -> pa.Table:
        listed = bodies.fields[name]
        assert isinstance(listed, Items)
        fields = listed.items
        assert isinstance(fields, dict)
        owners = bodies.rows[listed.rows]
        kept = np.flatnonzero((owners >= 0) & self._counted[owners])
        events = owners[kept]
        scoped, scopes = _scopes(bodies, listed) if name == "relations" else (None, None)

        def column(field: pa.Field) -> pa.Array:
            made: dict[str, Callable[[], object]] = {
                "offset": lambda: self._offsets[events],
                "time": lambda: self._times[events],
                "subject": lambda: self._of_event("subject", events),
                "event_id": lambda: self._of_event("record_id", events),
                "command_id": lambda: self._of_event("command_id", events),
                "ordinal": lambda: (np.arange(len(listed.rows)) - np.searchsorted(listed.rows, listed.rows))[kept],
            }  # fmt: skip
            if field.name in made:
                return _typed(made[field.name](), field.type)
            if field.name == "scoped":
                assert scoped is not None
                return pa.array(scoped[kept])
            if field.name in ("user_id", "agent_id", "run_id", "actor_id"):
                inside = fields["scope"] if scopes is None else scopes
                assert isinstance(inside, dict)
                return _column(inside, field, kept)
            return _column(fields, field, kept)

        return pa.Table.from_arrays([column(field) for field in schema], schema=schema)

    def _of_event(self, name: str, events: Ints) -> pa.Array:
        return slices(self._opened.envelope, name).take(events).array(_TEXT)


def _scopes(bodies: Bodies, relations: Items) -> tuple[Flags, Fields]:
    """Of each relation whether its event has an operation on its memory, and the scope of the last one; else an empty scope."""
    operations = bodies.fields["operations"]
    assert isinstance(operations, Items)
    done, said = operations.items, relations.items
    assert isinstance(done, dict)
    assert isinstance(said, dict)
    ids = pa.concat_arrays([slices(done, "memory_id").array(_TEXT), slices(said, "memory_id").array(_TEXT)])
    codes = ids.dictionary_encode()
    places = (
        np.concatenate([operations.rows, relations.rows]) * (len(codes.dictionary) + 1)
        + codes.indices.to_numpy()
    )
    known, asked = places[: len(operations.rows)], places[len(operations.rows) :]
    order = np.argsort(known, kind="stable")
    at = np.searchsorted(known[order], asked, "right") - 1
    scoped = at >= 0
    if len(order):
        last = order[np.maximum(at, 0)]
        scoped &= known[last] == asked
    else:
        last = at
    scope = done["scope"]
    assert isinstance(scope, dict)
    return scoped, {name: _taken(column, last, scoped) for name, column in scope.items()}


def _taken(column: object, rows: Ints, there: Flags) -> Nullable:
    assert isinstance(column, Nullable)
    assert isinstance(column.column, Slices)
    if not there.any():
        nothing = np.zeros(len(rows), np.int64)
        return Nullable(np.zeros(len(rows), bool), Slices(column.column.data, nothing, nothing))
    return Nullable(column.present[rows] & there, column.column.take(rows))


def _column(fields: Fields, field: pa.Field, kept: Ints) -> pa.Array:
    if field.name not in fields:
        return _typed(
            pa.array([_DEFAULTS[field.name]]).take(pa.array(np.zeros(len(kept), np.int64))), field.type
        )
    column = fields[field.name]
    if isinstance(column, Nullable):
        missing = ~column.present[kept]
        inner = _column({field.name: column.column}, pa.field(field.name, _plain(field.type)), kept)
        return _typed(pc.if_else(pa.array(missing), pa.scalar(None, inner.type), inner), field.type)
    if isinstance(column, Slices):
        return _typed(column.take(kept).array(_TEXT), field.type)
    assert isinstance(column, np.ndarray)
    return _typed(column[kept], field.type)


def _plain(kind: pa.DataType) -> pa.DataType:
    return _TEXT if kind == _WORDS else kind


def _typed(values: object, kind: pa.DataType) -> pa.Array:
    array: Any = values if isinstance(values, pa.Array) else pa.array(values)
    if kind == _WORDS:
        return array.cast(_TEXT).dictionary_encode()
    return array.cast(kind)
