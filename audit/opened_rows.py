# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
"""The records of an archived batch, opened in columns where they can be, and whether the clear columns beside them are theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.schemas.columns import Fields, Flags, Ints, Items, Slices
from memfold.schemas.envelope_columns import BINARY, in_hex, numbers, slices
from memfold.schemas.opening import Keys
from memfold.schemas.opening_columns import open_columns

_TEXTS = ("record_id", "type", "tenant", "subject", "command_id", "key_id")


class Sure(NamedTuple):
    """What is needed of the envelope of a record that is known to be genuine."""

    type: str
    command_id: str
    command_offset: int


def sure_of(batch: pa.RecordBatch, keys: Keys) -> tuple[Sequence[Sure | None], Flags]:
    """Of each row what is sure, None where its record has to be opened alone; and whose archived columns are those of its value."""
    opened = open_columns(batch["key"], batch["value"], keys)
    told = (slices(opened.envelope, name).array(BINARY).to_pylist() for name in ("type", "command_id"))
    rows = zip(
        opened.opened.tolist(), *told, numbers(opened.envelope, "command_offset").tolist(), strict=True
    )
    found = [
        Sure(kind.decode(), command.decode(), offset) if good else None
        for good, kind, command, offset in rows
    ]
    return found, opened.opened & _same(batch, opened.envelope)


def _same(batch: pa.RecordBatch, envelope: Fields) -> Flags:
    same = np.ones(len(batch), bool)
    for name in _TEXTS:
        same &= _equal(batch[name].cast(BINARY), slices(envelope, name).array(BINARY))
    same &= _equal(batch["body_schema"].cast(BINARY), in_hex(slices(envelope, "body_schema")))
    same &= _equal(batch["command_offset"], pa.array(numbers(envelope, "command_offset")))
    same &= _equal(batch["occurred_at"].cast(pa.int64()), pa.array(numbers(envelope, "occurred_at")))
    listed = envelope["memory_ids"]
    assert isinstance(listed, Items)
    return same & _same_lists(batch["memory_ids"], listed)


def _same_lists(stored: pa.Array, listed: Items) -> Flags:
    lengths = np.bincount(listed.rows, minlength=len(stored))
    same: Flags = (
        pc.equal(pc.list_value_length(stored), pa.array(lengths, pa.int32()))
        .fill_null(False)
        .to_numpy(zero_copy_only=False)
    )
    if not same.all():
        return same
    assert isinstance(listed.items, Slices)
    values = _equal(stored.flatten().cast(BINARY), listed.items.array(BINARY))
    wrong: Ints = listed.rows[~values]
    same[wrong] = False
    return same


def _equal(one: pa.Array, other: pa.Array) -> Flags:
    found: Flags = pc.equal(one, other).fill_null(False).to_numpy(zero_copy_only=False)
    return found
