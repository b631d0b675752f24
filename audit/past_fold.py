"""The folds of versions and relations over columns: the same outcome as `version_fold` and `relation_fold`, for lives that are plain.

A life is plain while nothing happens in it but ADD, UPDATE ... DELETE with rising versions and times, and ASSERT, RETRACT. Whose is
not, `special` names; those subjects are folded event by event.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.schemas.columns import Flags, Ints

STILL = np.iinfo(np.int64).max
"""As a time or an offset: not ended."""


def fold_versions(operations: pa.Table, whole_clears: pa.Table, special: set[str]) -> pa.Table:
    """Every version of one partition's memories that says something, in log order, with `until` and `ended_at` (an offset).

    `operations` count, and are in log order, as `whole_clears`, which end everything in the partition. Adds to `special`.
    """
    rows = operations.filter(
        pc.is_in(operations["op"].cast(pa.large_string()), _words("ADD", "UPDATE", "DELETE", "RESTORE"))
    )
    ops, subjects = _text_codes(rows["op"], ["ADD", "UPDATE", "DELETE", "RESTORE"]), _codes(rows["subject"])
    time, offset, version = (rows[name].to_numpy() for name in ("time", "offset", "version"))
    order, first = _grouped(_codes(rows["memory_id"]))
    ops, subjects, time, offset, version = (each[order] for each in (ops, subjects, time, offset, version))
    last = np.append(first[1:], True) if len(first) else first
    cleared_at, cleared_time = _next_clear(offset, whole_clears)
    wrong = first & (ops != 0)
    wrong |= (~last & (ops == 2)) | (ops == 3)
    later, before = np.flatnonzero(~first), np.flatnonzero(~first) - 1
    wrong[later] |= (ops[later] == 0) | (subjects[later] != subjects[before]) | (time[later] < time[before])
    wrong[later] |= (ops[later] == 1) & (version[later] <= version[before])
    wrong[later] |= cleared_at[before] <= offset[later]
    groups = np.cumsum(first) - 1
    of_special = np.isin(groups, groups[wrong])
    special |= set(
        rows["subject"].take(pa.array(order[of_special])).cast(pa.large_string()).unique().to_pylist()
    )
    until, ended = np.maximum(cleared_time, time), cleared_at.copy()
    until[before], ended[before] = time[later], offset[later]
    return _with_ends(rows, order, until, ended, ops != 2)


def fold_relations(relations: pa.Table, whole_clears: pa.Table, special: set[str]) -> pa.Table:
    """Every assertion of one partition's relations, in log order, as `fold_versions`; `valid_to` is what its RETRACT says."""
    subjects = _codes(relations["subject"])
    ops = _text_codes(relations["op"], ["ASSERT", "RETRACT"])
    time, offset = relations["time"].to_numpy(), relations["offset"].to_numpy()
    confidence = relations["confidence"].to_numpy()
    ids = _codes(relations["assertion_id"]).astype(np.int64)
    order, first = _grouped(ids * (int(subjects.max(initial=0)) + 1) + subjects)
    wrong = (ops < 0) | ~np.isfinite(confidence)
    # A memory that is not among the event's operations may be in the scope of what the same event retracts.
    retracting = np.isin(offset, offset[ops == 1])
    wrong |= (ops == 0) & ~relations["scoped"].to_numpy() & retracting
    ops, time, offset, wrong = (each[order] for each in (ops, time, offset, wrong))
    cleared_at, cleared_time = _next_clear(offset, whole_clears)
    later, before = np.flatnonzero(~first), np.flatnonzero(~first) - 1
    wrong[later] |= (ops[later] != 1) | (ops[before] != 0) | (cleared_at[before] <= offset[later])
    special |= set(
        relations["subject"].take(pa.array(order[wrong])).cast(pa.large_string()).unique().to_pylist()
    )
    until, ended = np.maximum(cleared_time, time), cleared_at.copy()
    until[before], ended[before] = np.maximum(time[later], time[before]), offset[later]
    retracts = np.full(len(order), -1)
    retracts[before] = order[later]
    said = relations["valid_to"].take(pa.array(np.where(retracts < 0, 0, retracts), mask=retracts < 0))
    whole = relations.drop_columns("valid_to")
    return _with_ends(whole, order, until, ended, ops == 0, {"valid_to": said})


def _with_ends(
    rows: pa.Table,
    order: Ints,
    until: Ints,
    ended: Ints,
    shown: Flags,
    more: dict[str, pa.ChunkedArray] | None = None,
) -> pa.Table:
    """The shown rows in log order again, with their ends."""
    kept = np.flatnonzero(shown)
    kept = kept[np.argsort(order[kept], kind="stable")]
    table = rows.take(pa.array(order[kept]))
    for name, column in {"until": pa.array(until), "ended_at": pa.array(ended), **(more or {})}.items():
        table = table.append_column(name, column.take(pa.array(kept)))
    return table


def _grouped(codes: Ints) -> tuple[Ints, Flags]:
    """The order that brings equal codes together, and where each group begins."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    return order, np.append(True, codes[1:] != codes[:-1]) if len(codes) else np.zeros(0, bool)


def _next_clear(offset: Ints, clears: pa.Table) -> tuple[Ints, Ints]:
    """Offset and time of the first clear of everything behind each offset."""
    at = np.append(clears["offset"].to_numpy(), STILL)
    times = np.append(clears["time"].to_numpy(), STILL)
    found = np.searchsorted(at, offset, "right")
    return at[found], times[found]


def _codes(column: pa.ChunkedArray) -> Ints:
    whole = column.combine_chunks()
    whole = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    codes: Ints = whole.indices.to_numpy().astype(np.int64)
    return codes


def _text_codes(column: pa.ChunkedArray, words: Sequence[str]) -> Ints:
    """The place of each among `words`, -1 for another."""
    found = pc.index_in(column.cast(pa.large_string()).combine_chunks(), _words(*words))
    codes: Ints = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _words(*words: str) -> pa.Array:
    return pa.array(words, pa.large_string())
