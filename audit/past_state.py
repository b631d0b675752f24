"""What held at a moment, filtered out of the remembered columns: as one table, or told as the dicts of `changes.state`."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.audit.past import Remembered
from memfold.audit.past_fold import STILL
from memfold.schemas.columns import Ints
from memfold.schemas.records import Scope

Told = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IDS = ("user_id", "agent_id", "run_id", "actor_id")
_VERSION = ("id", "memory", "version", "metadata", "role", "kind", "pending", "when", "valid_from", "valid_to",
            "event_id", "command_id", "partition", "offset")  # fmt: skip
_RELATION = ("source", "source_type", "relationship", "target", "target_type", "memory_id", "assertion_id", "confidence", "asserted_at",
             "ended_at", "valid_from", "valid_to", "event_id", "command_id", "partition", "offset")  # fmt: skip
_TEXT, _TIME = pa.large_string(), pa.timestamp("ms", "UTC")
MEMORIES = pa.schema([
    *((name, _TEXT) for name in ("id", "memory")), ("version", pa.int64()),
    *((name, _TEXT) for name in ("metadata", "role", "kind")), ("pending", pa.bool_()), ("when", _TEXT),
    ("valid_from", _TIME), ("valid_to", _TIME), *((name, _TEXT) for name in ("event_id", "command_id")),
    ("partition", pa.int64()), ("offset", pa.int64()), *((name, _TEXT) for name in _IDS),
])  # fmt: skip
"""The fields of a told version as columns."""
Then = tuple[Mapping[int, Remembered], Sequence[int], Scope, datetime, set[str]]
"""A moment to ask about: what is remembered, the last offset of each partition that the moment knows of, whose, when, and the
subjects that are folded elsewhere."""


def held_versions(
    partitions: Mapping[int, Remembered],
    ends: Sequence[int],
    scope: Scope,
    at: datetime,
    special: Collection[str],
) -> pa.Table:
    """The versions of everybody but the `special`, by partition and in log order, in the columns of the fold and `partition`.

    `ends` are the last offsets that the moment knows of: what ended behind them had not ended yet, and has STILL as `until`.
    """
    tables = {partition: known.versions for partition, known in partitions.items()}
    return _held(tables, ends, scope, at, special)


def held_relations(
    partitions: Mapping[int, Remembered],
    ends: Sequence[int],
    scope: Scope,
    at: datetime,
    special: Collection[str],
) -> pa.Table:
    """The relations, as `held_versions` gives the versions."""
    tables = {partition: known.relations for partition, known in partitions.items()}
    return _held(tables, ends, scope, at, special)


def _held(
    tables: Mapping[int, pa.Table], ends: Sequence[int], scope: Scope, at: datetime, special: Collection[str]
) -> pa.Table:
    # In whole milliseconds, as the times of the log are.
    then = (at - _EPOCH) // timedelta(milliseconds=1)
    found = []
    for partition, table in sorted(tables.items()):
        held = pc.and_(pc.less_equal(table["time"], then), pc.greater(table["until"], then))
        if special:
            others = pc.is_in(table["subject"].cast(_TEXT), pa.array(sorted(special), _TEXT))
            held = pc.and_(held, pc.invert(others))
        for name, wanted in zip(_IDS, scope.ids(), strict=True):
            if wanted is not None:
                held = pc.and_(held, pc.equal(table[name].cast(_TEXT), wanted).fill_null(False))
        rows = table.filter(held)
        end = ends[partition] if partition < len(ends) else -1
        until = np.where(rows["ended_at"].to_numpy() > end, STILL, rows["until"].to_numpy())
        rows = rows.set_column(rows.schema.get_field_index("until"), "until", pa.array(until))
        found.append(rows.append_column("partition", pa.array(np.full(len(rows), partition))))
    return pa.concat_tables(found)


def memories_table(versions: pa.Table) -> pa.Table:
    """Held versions in the columns MEMORIES."""
    until = versions["until"].to_numpy()
    named = {
        "id": versions["memory_id"],
        "memory": versions["text"],
        "valid_from": versions["time"].cast(_TIME),
        "valid_to": pa.array(np.where(until == STILL, 0, until), _TIME, mask=until == STILL),
    }
    columns = [named[field.name] if field.name in named else versions[field.name] for field in MEMORIES]
    arrays = [column.cast(field.type) for column, field in zip(columns, MEMORIES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=MEMORIES)


def with_told(table: pa.Table, told: Sequence[Told]) -> pa.Table:
    """The table with told versions among its rows, in log order."""
    if not told:
        return table
    times = ("valid_from", "valid_to")
    rows = [
        {**one, "metadata": json.dumps(one["metadata"]),
         **{name: one[name] and datetime.fromisoformat(one[name]) for name in times}}
        for one in told
    ]  # fmt: skip
    both = pa.concat_tables([table, pa.Table.from_pylist(rows, schema=MEMORIES)])
    return both.sort_by([("partition", "ascending"), ("offset", "ascending")])


def told_versions(versions: pa.Table) -> list[Told]:
    """Held versions, as `changes.told_version` tells them."""
    special: dict[str, Callable[[], Sequence[Any]]] = {
        "id": versions["memory_id"].to_pylist,
        "memory": versions["text"].to_pylist,
        "metadata": lambda: [
            json.loads(text) if text != "{}" else {} for text in versions["metadata"].to_pylist()
        ],
        "valid_from": lambda: _written(versions["time"].to_numpy()),
        "valid_to": lambda: _written(versions["until"].to_numpy()),
    }
    told = _dicts(versions, _VERSION, special)
    for name in _IDS:
        for one, value in zip(told, versions[name].to_pylist(), strict=True):
            if value is not None:
                one[name] = value
    return told


def told_relations(relations: pa.Table) -> list[Told]:
    """Held relations, as `changes.told_relation` tells them."""
    until = relations["until"].to_numpy()
    special: dict[str, Callable[[], Sequence[Any]]] = {
        "asserted_at": lambda: _written(relations["time"].to_numpy()),
        "ended_at": lambda: _written(until),
        "valid_from": lambda: [
            moment and moment.isoformat() for moment in relations["valid_from"].to_pylist()
        ],
        "valid_to": lambda: [
            moment and moment.isoformat() if known else None
            for moment, known in zip(
                relations["valid_to"].to_pylist(), (until != STILL).tolist(), strict=True
            )
        ],
    }
    return _dicts(relations, _RELATION, special)


def _dicts(
    rows: pa.Table, names: Sequence[str], special: Mapping[str, Callable[[], Sequence[Any]]]
) -> list[Told]:
    columns = [special[name]() if name in special else rows[name].to_pylist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _written(times: Ints) -> list[str | None]:
    """Milliseconds as `datetime.isoformat` writes them, None for what has not ended."""
    moments, places = np.unique(times, return_inverse=True)
    texts = [
        None if moment == STILL else (_EPOCH + timedelta(milliseconds=moment)).isoformat()
        for moment in moments.tolist()
    ]
    return [texts[place] for place in places.tolist()]
