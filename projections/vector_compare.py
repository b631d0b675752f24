"""Two vector shards of the same position side by side: which versions of which memories differ, and in what.

Column by column, so that of two large shards one column is in memory at a time. A column of the served shard that is damaged is
read as far as it can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from memfold.memory.errors import ShardDamaged
from memfold.projections.difference import Difference, What
from memfold.projections.vector_rows import COLUMNS, Row
from memfold.projections.vector_snapshot import VectorSnapshot
from memfold.projections.vector_table import INDEXED

Values = Mapping[str, Any]
"""One column, by row_id."""
_OFFSETS = ["row_id", "evt_offset", "added_offset"]
_AT_ONCE = 1_000


def same_beside_digest(served: VectorSnapshot, built: VectorSnapshot) -> bool:
    """What a digest leaves out: the offsets of the events, and what the indices find. Raises ShardDamaged."""
    if not served.columns(_OFFSETS).equals(built.columns(_OFFSETS)):
        return False
    return not any(_not_indexed(served, built))


def differences(served: VectorSnapshot, built: VectorSnapshot) -> list[Difference]:
    """What `served` holds otherwise than `built`."""
    damaged: set[str] = set()

    def readable(name: str) -> Values:
        values, whole = served.readable(name)
        if not whole:
            damaged.add(name)
        return values

    found = compare(readable, built.values, damaged)
    known = {(one.memory_id, one.part) for one in found}
    offsets = built.values("evt_offset")
    if "row_id" not in damaged:
        found += [_difference(row_id, "twice", (), offsets) for row_id in sorted(served.twice())]
    for row_id, what, column in _not_indexed(served, built):
        one = _difference(row_id, what, (f"index of {column}",), offsets)
        if (one.memory_id, one.part) not in known:
            found.append(one)
    return found


def all_unreadable(built: VectorSnapshot) -> list[Difference]:
    """Every version, of a shard of which nothing can be read."""
    offsets = built.values("evt_offset")
    return [_difference(row_id, "unreadable", (), offsets) for row_id in sorted(offsets)]


def compare(
    served: Callable[[str], Values], built: Callable[[str], Values], damaged: Iterable[str] = ()
) -> list[Difference]:
    """The same of columns, however they are had. `damaged`: columns that `served` gave a part of; looked at after it was asked."""
    wrong: dict[str, dict[str, What]] = {}
    for name in COLUMNS:
        found, expected = served(name), built(name)
        absent: What = "unreadable" if name in damaged else "missing"
        for row_id, value in expected.items():
            if row_id not in found:
                wrong.setdefault(row_id, {})[name] = absent
            elif found[row_id] != value:
                wrong.setdefault(row_id, {})[name] = "differs"
        for row_id in found.keys() - expected.keys():
            wrong.setdefault(row_id, {})[name] = "extra"
    offsets = built("evt_offset")
    return [_summed(row_id, wrong[row_id], offsets) for row_id in sorted(wrong)]


def of_rows(rows: Sequence[Row]) -> Callable[[str], Values]:
    """Rows that are in memory, by column."""
    return lambda name: {row.row_id: getattr(row, name) for row in rows}


def _summed(row_id: str, fields: Mapping[str, What], offsets: Values) -> Difference:
    kinds = set(fields.values())
    for what in ("missing", "extra"):
        # All of it: single fields would say no more.
        if kinds == {what}:
            return _difference(row_id, what, (), offsets)
    return _difference(row_id, "unreadable" if "unreadable" in kinds else "differs", tuple(fields), offsets)


def _difference(row_id: str, what: What, fields: tuple[str, ...], offsets: Values) -> Difference:
    memory_id, _, version = row_id.rpartition(":")
    return Difference(memory_id, f"version {version}", what, fields, offsets.get(row_id))


def _not_indexed(served: VectorSnapshot, built: VectorSnapshot) -> Iterator[tuple[str, What, str]]:
    """(row_id, what, column) of what a search through an index misses, or cannot read."""
    for column in INDEXED:
        by_value: dict[str, set[str]] = {}
        for row_id, value in built.values(column).items():
            by_value.setdefault(value, set()).add(row_id)
        values = list(by_value)
        left = [values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE)]
        while left:
            some = left.pop()
            expected = {row_id for value in some for row_id in by_value[value]}
            try:
                missed = expected - served.found_by(column, some)
            except ShardDamaged:
                if len(some) > 1:
                    middle = len(some) // 2
                    left += [some[:middle], some[middle:]]
                    continue
                for row_id in sorted(expected):
                    yield row_id, "unreadable", column
                continue
            for row_id in sorted(missed):
                yield row_id, "not indexed", column
