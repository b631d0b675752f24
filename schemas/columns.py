"""Avro records decoded in columns: many records of one schema at once, a field at a time, by one cursor a record.

A record at a time costs an object for every field of it; a column at a time costs a few passes of numpy over all cursors, a tenth of
that. It accepts less than `codec` does and nothing more: what it is not sure of is for the caller to decode alone, which also says
what is wrong. Lists in a list and records in a union are not among memfold's schemas, and refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]
from numpy.lib.stride_tricks import sliding_window_view

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

MOST = 256
"""Items of one list that are followed in columns; each is a round over the cursors, so a longer list is decoded alone."""
_PAD = 16
_YEARS = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Microseconds since 1970 of the years 1 to 9999, which are what Python's datetime holds."""


@dataclass(frozen=True, slots=True)
class Slices:
    """A column of strings or bytes, still where they were read."""

    data: Bytes
    starts: Ints
    lengths: Ints

    def take(self, rows: Ints) -> Slices:
        return Slices(self.data, self.starts[rows], self.lengths[rows])

    def array(self, kind: pa.DataType) -> pa.Array:
        """As an Arrow array of `pa.large_string()` or `pa.large_binary()`."""
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])
        found = np.empty(offsets[-1], np.uint8)
        for length, rows in self.by_length():
            places = sliding_window_view(found, length, writeable=True)
            places[offsets[:-1][rows]] = sliding_window_view(self.data, length)[self.starts[rows]]
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(found)]
        return pa.Array.from_buffers(kind, len(self.starts), buffers)

    def by_length(self) -> Iterator[tuple[int, Ints]]:
        """(length, rows) of those that are not empty: as many bytes each are copied as rows of a matrix, not byte by byte."""
        if not len(self.lengths):
            return
        order = np.argsort(self.lengths, kind="stable")
        lengths, firsts = np.unique(self.lengths[order], return_index=True)
        for length, rows in zip(lengths.tolist(), np.split(order, firsts[1:]), strict=True):
            if length:
                yield length, rows


@dataclass(frozen=True, slots=True)
class Nullable:
    """`column` has a zero, or an empty slice, where `present` is false."""

    present: Flags
    column: Ints | Slices


@dataclass(frozen=True, slots=True)
class Items:
    """A column of lists: all items in the order of their records, and of each the number of its record among those decoded."""

    rows: Ints
    items: Column


Fields = dict[str, "Column"]
Column = Ints | npt.NDArray[np.float64] | Slices | Nullable | Items | Fields


def decode_columns(schema: Any, data: Bytes, starts: Ints, ends: Ints) -> tuple[Fields, Flags]:
    """The fields of the records in `data[start:end]`, and which records are exactly that, to the last byte.

    `schema` is a record as fastavro parses it. Where the flag is false the columns hold nothing of meaning.
    """
    reader = _Reader(np.concatenate([data, np.zeros(_PAD, np.uint8)]), ends)
    rows = np.arange(len(starts))
    fields, at = reader.record(schema, starts.astype(np.int64), rows)
    reader.refuse(rows, at != ends)
    return fields, reader.good


class _Reader:
    """`good` turns false for a record once something in it is not right; its cursor goes on behind the data, over zeros."""

    def __init__(self, data: Bytes, ends: Ints) -> None:
        self._data, self._ends, self._behind = data, ends, len(data) - _PAD
        self.good = np.ones(len(ends), bool)
        self._named: dict[str, Any] = {}

    def refuse(self, rows: Ints, wrong: Flags) -> None:
        self.good[rows[wrong]] = False

    def record(self, schema: Any, at: Ints, rows: Ints) -> tuple[Fields, Ints]:
        self._named[schema["name"]] = schema
        fields: Fields = {}
        for field in schema["fields"]:
            fields[field["name"]], at = self._read(field["type"], at, rows)
        return fields, at

    def _read(self, schema: Any, at: Ints, rows: Ints) -> tuple[Column, Ints]:
        if isinstance(schema, str):
            return self._primitive(schema, at, rows)
        if isinstance(schema, list):
            return self._nullable(schema, at, rows)
        kind = schema["type"]
        if kind == "record":
            return self.record(schema, at, rows)
        if kind == "array":
            return self._list(schema["items"], at, rows)
        if kind == "fixed":
            self._named[schema["name"]] = schema
            return self._slices(np.full(len(at), schema["size"]), at, rows, text=False)
        values, at = self._long(at, rows)
        if schema.get("logicalType") == "timestamp-micros":
            self.refuse(rows, (values < _YEARS[0]) | (values > _YEARS[1]))
        return values, at

    def _primitive(self, name: str, at: Ints, rows: Ints) -> tuple[Column, Ints]:
        if name in ("int", "long"):
            return self._long(at, rows)
        if name in ("string", "bytes"):
            lengths, at = self._long(at, rows)
            return self._slices(lengths, at, rows, text=name == "string")
        if name == "boolean":
            values = self._data[at].astype(np.int64)
            self.refuse(rows, values > 1)
            return values, self._inside(at + 1)
        if name == "float":
            read = self._data[at[:, None] + np.arange(4)]
            return read.view("<f4")[:, 0].astype(np.float64), self._inside(at + 4)
        return self._read(self._named[name], at, rows)

    def _inside(self, at: Ints) -> Ints:
        # One behind the last end, so that what runs over it never seems to end there.
        return np.minimum(at, self._behind + 1)

    def _long(self, at: Ints, rows: Ints) -> tuple[Ints, Ints]:
        """Zig-zag, base 128, low bits first. Nearly all are one byte, so only the others are looked at again."""
        read = self._data[at].astype(np.int64)
        value, at = read & 0x7F, at + 1
        longer, shift = np.flatnonzero(read & 0x80), 7
        while len(longer):
            if shift > 56:
                self.refuse(rows, np.isin(np.arange(len(rows)), longer))
                break
            read = self._data[self._inside(at[longer])].astype(np.int64)
            value[longer] |= (read & 0x7F) << shift
            at[longer] += 1
            longer, shift = longer[(read & 0x80) != 0], shift + 7
        return (value >> 1) ^ -(value & 1), self._inside(at)

    def _slices(self, lengths: Ints, at: Ints, rows: Ints, *, text: bool) -> tuple[Slices, Ints]:
        wrong = (lengths < 0) | (lengths > self._ends[rows] - at)
        if wrong.any():
            self.refuse(rows, wrong)
            at, lengths = np.where(wrong, self._behind, at), np.where(wrong, 0, lengths)
        found = Slices(self._data, at, lengths)
        if text:
            self._check_text(found, rows)
        return found, self._inside(at + lengths)

    def _check_text(self, found: Slices, rows: Ints) -> None:
        """Only what is not ASCII can fail to be UTF-8."""
        for length, same in found.by_length():
            read = sliding_window_view(self._data, length)[found.starts[same]]
            beyond = same[(read >= 0x80).any(axis=1)]
            if len(beyond):
                try:
                    found.take(beyond).array(pa.large_string()).validate(full=True)
                except pa.ArrowInvalid:
                    # Rare enough not to look for which one it is.
                    self.good[rows[beyond]] = False

    def _nullable(self, schema: list[Any], at: Ints, rows: Ints) -> tuple[Nullable, Ints]:
        which, at = self._long(at, rows)
        if len(schema) != 2 or schema[0] != "null":
            raise NotImplementedError(f"a union of {schema} is not decoded in columns")
        self.refuse(rows, (which < 0) | (which > 1))
        there = np.flatnonzero(which == 1)
        held, after = self._read(schema[1], at[there], rows[there])
        at = at.copy()
        at[there] = after
        return Nullable(which == 1, _spread(held, there, len(at), self._data)), at

    def _list(self, schema: Any, at: Ints, rows: Ints) -> tuple[Items, Ints]:
        """As writers make it: one block of items and the end. Blocks that tell their bytes, or several, are refused."""
        counts, at = self._long(at, rows)
        wrong = (counts < 0) | (counts > MOST)
        self.refuse(rows, wrong)
        counts, at = np.where(wrong, 0, counts), at.copy()
        rounds, whose = [], []
        for number in range(int(counts.max(initial=0))):
            there = np.flatnonzero(counts > number)
            items, at[there] = self._read(schema, at[there], rows[there])
            rounds.append(items)
            whose.append(there)
        if not rounds:
            rounds, whose = [self._read(schema, at[:0], rows[:0])[0]], [rows[:0]]
        ended = np.flatnonzero(counts > 0)
        end, at[ended] = self._long(at[ended], rows[ended])
        self.refuse(rows[ended], end != 0)
        owners = np.concatenate(whose)
        order = np.argsort(owners, kind="stable")
        return Items(owners[order], _joined(rounds, order)), at


def _spread(held: Column, there: Ints, count: int, data: Bytes) -> Ints | Slices:
    if isinstance(held, Slices):
        starts, lengths = np.zeros(count, np.int64), np.zeros(count, np.int64)
        starts[there], lengths[there] = held.starts, held.lengths
        return Slices(data, starts, lengths)
    if not isinstance(held, np.ndarray):
        raise NotImplementedError("only numbers and strings can be null in columns")
    values = np.zeros(count, np.int64)
    values[there] = held
    return values


def _joined(rounds: Sequence[Column], order: Ints) -> Column:
    """The same column out of several rounds, in another order."""
    first = rounds[0]
    if isinstance(first, dict):
        return {name: _joined([one[name] for one in rounds], order) for name in first}  # type: ignore[index,call-overload]
    if isinstance(first, Slices):
        starts = np.concatenate([one.starts for one in rounds])  # type: ignore[union-attr]
        lengths = np.concatenate([one.lengths for one in rounds])  # type: ignore[union-attr]
        return Slices(first.data, starts[order], lengths[order])
    if isinstance(first, Nullable):
        present = np.concatenate([one.present for one in rounds])  # type: ignore[union-attr]
        column = _joined([one.column for one in rounds], order)  # type: ignore[union-attr]
        return Nullable(present[order], column)  # type: ignore[arg-type]
    if isinstance(first, Items):
        # What the models were shown: nobody reads it in columns, but the cursor had to pass over it.
        return Items(np.zeros(0, np.int64), {})
    return np.concatenate(rounds)[order]  # type: ignore[arg-type]
