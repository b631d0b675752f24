"""The whole past of a tenant, remembered in columns: opened once, then a state at any moment is a filter.

What is behind the remembered offsets is added at each question, so an answer is never older than the question. Texts are kept in
memory only, and only as long as every key that opened one is there: when one was destroyed, all is forgotten and opened again.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.audit.fence import counting
from memfold.audit.past_fold import fold_relations, fold_versions
from memfold.audit.past_rows import CLEARS, OPERATIONS, RELATIONS, EventRows
from memfold.audit.seen import Offsets
from memfold.audit.snapshot import Snapshot
from memfold.projections.archive_files import read_batches
from memfold.schemas.columns import Flags, Ints
from memfold.schemas.envelope_columns import numbers, slices
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_event
from memfold.schemas.opening_columns import OpenedColumns, open_columns
from memfold.schemas.records import LogRecord

BATCH = 16_384
_READ = ["offset", "timestamp_ms", "tenant", "subject", "key", "value"]


def _nothing() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(slots=True)
class Remembered:
    """One partition of a tenant up to the offset `end`. `versions` and `relations` as the folds give them, without the lives of
    the `special` subjects. `unsure` are offsets whose record is not genuine, and cannot stand in the way of another.
    """

    end: int = -1
    operations: list[pa.Table] = field(default_factory=list)
    asserted: list[pa.Table] = field(default_factory=list)
    clears: list[pa.Table] = field(default_factory=list)
    unsure: Ints = field(default_factory=_nothing)
    genuine: tuple[Offsets, Offsets] = field(default_factory=lambda: (_nothing(), _nothing()))
    own_special: set[str] = field(default_factory=set)
    key_ids: set[str] = field(default_factory=set)
    erased: int = 0
    unreadable: int = 0
    duplicates: int = 0
    unknown_key: UnknownKey | None = None
    versions: pa.Table = field(init=False)
    relations: pa.Table = field(init=False)
    special: set[str] = field(default_factory=set)

    def fold(self) -> None:
        """After something was added."""
        operations = pa.concat_tables([OPERATIONS.empty_table(), *self.operations]).unify_dictionaries()
        asserted = pa.concat_tables([RELATIONS.empty_table(), *self.asserted]).unify_dictionaries()
        clears = pa.concat_tables([CLEARS.empty_table(), *self.clears]).sort_by("offset")
        self.operations, self.asserted, self.clears = [operations], [asserted], [clears]
        narrow = clears.filter(pc.invert(clears["whole_tenant"]))
        self.special = self.own_special | set(narrow["subject"].cast(pa.large_string()).unique().to_pylist())
        whole = clears.filter(clears["whole_tenant"])
        self.versions = fold_versions(operations, whole, self.special)
        self.relations = fold_relations(asserted, whole, self.special)


class Past:
    """The past of one tenant. One question at a time, inside the turn of its snapshots."""

    def __init__(self, tenant: str, keys: Keys) -> None:
        self._tenant, self._keys = tenant, keys
        self._partitions: dict[int, Remembered] = {}

    def partitions(self, snapshot: Snapshot) -> dict[int, Remembered]:
        """Everything up to the end of the snapshot, by partition. Raises ShardDamaged, FileNotFoundError as a query does."""
        if not self._keys_are_there():
            self._partitions = {}
        for partition, end in enumerate(snapshot.end() or (-1,)):
            known = self._partitions.get(partition)
            if known is None or known.end > end:
                known = self._partitions[partition] = Remembered()
                known.fold()
            if known.end < end:
                try:
                    self._extend(snapshot, partition, known)
                except BaseException:
                    # Half of what is new must not be taken for all of it.
                    del self._partitions[partition]
                    raise
                known.end = end
                known.fold()
        return self._partitions

    def new(self, snapshot: Snapshot) -> int:
        """How many records a question would have to read now."""
        known = self._partitions if self._keys_are_there() else {}
        nothing = Remembered()
        return sum(end - known.get(partition, nothing).end for partition, end in enumerate(snapshot.end()))

    def check_keys(self) -> None:
        """Raises UnknownKey where not one record could be opened, and one because its key was never here: not silently nothing."""
        known = self._partitions.values()
        unknown = [one.unknown_key for one in known if one.unknown_key]
        if unknown and not any(one.erased or one.own_special or len(one.genuine[0]) for one in known):
            raise unknown[0]

    def _keys_are_there(self) -> bool:
        try:
            for known in self._partitions.values():
                for key_id in known.key_ids:
                    self._keys.key(key_id)
        except (KeyDestroyed, UnknownKey):
            return False
        return True

    def _extend(self, snapshot: Snapshot, partition: int, known: Remembered) -> None:
        for batch in _rows_behind(snapshot, partition, known.end):
            own = batch.filter(pc.equal(batch["tenant"], self._tenant))
            if len(own):
                self._take(snapshot, partition, known, own)

    def _take(self, snapshot: Snapshot, partition: int, known: Remembered, rows: pa.RecordBatch) -> None:
        opened = open_columns(rows["key"], rows["value"], self._keys)
        offsets, times = rows["offset"].to_numpy(), rows["timestamp_ms"].to_numpy()
        events = np.zeros(len(rows), bool)
        for bodies in opened.bodies:
            if bodies.schema.name == "memories_decided":
                events[bodies.rows[bodies.rows >= 0]] = True
        foreign = events & ~self._says_the_same(opened, rows)
        self._judge(snapshot, known, rows, np.flatnonzero(~events), partition)
        known.unreadable += int(foreign.sum())
        known.key_ids |= set(_texts(opened, "key_id", events))
        counted = self._counted(snapshot, partition, known, opened, offsets, events, rows) & ~foreign
        known.duplicates += int((events & ~foreign & ~counted).sum())
        made = EventRows(opened, counted, offsets, times)
        known.operations.append(made.operations())
        known.asserted.append(made.relations())
        known.clears.append(made.clears())

    def _says_the_same(self, opened: OpenedColumns, rows: pa.RecordBatch) -> Flags:
        """Whether tenant and subject of the envelopes are those of the columns that the rows were found by."""
        same = np.ones(len(rows), bool)
        for name in ("tenant", "subject"):
            told = slices(opened.envelope, name).array(pa.large_binary())
            same &= (
                pc.equal(told, rows[name].cast(pa.large_binary()))
                .fill_null(False)
                .to_numpy(zero_copy_only=False)
            )
        return same

    def _judge(
        self, snapshot: Snapshot, known: Remembered, rows: pa.RecordBatch, places: Ints, partition: int
    ) -> None:
        """What could not be opened in columns, one by one: genuine after all, erased, or nothing that counts."""
        unsure: list[int] = []
        for record, subject in _records(snapshot, partition, rows, places):
            try:
                event = open_event(record, self._keys)
            except KeyDestroyed:
                known.erased += 1
                unsure.append(record.offset)
            except Unreadable:
                known.unreadable += 1
                unsure.append(record.offset)
            except UnknownKey as unknown:
                known.unreadable, known.unknown_key = known.unreadable + 1, unknown
                unsure.append(record.offset)
            else:
                known.own_special |= {subject, event.envelope.subject}
                whole = any(clear.whole_tenant for clear in event.body.clears)
                if (
                    whole
                    and event.envelope.tenant == self._tenant
                    and counting(snapshot, [event], self._keys)
                ):
                    known.clears.append(_clear_of_all(record, subject))
        known.unsure = np.concatenate([known.unsure, np.array(unsure, np.int64)])

    def _counted(
        self, snapshot: Snapshot, partition: int, known: Remembered, opened: OpenedColumns, offsets: Ints, events: Flags,
        rows: pa.RecordBatch,
    ) -> Flags:  # fmt: skip
        """Which of the opened events pass the fence; see `fence`. What is known not to be genuine stands in nobody's way."""
        own = numbers(opened.envelope, "command_offset")
        known.genuine = (
            np.concatenate([known.genuine[0], offsets[events]]),
            np.concatenate([known.genuine[1], own[events]]),
        )
        at, commands = snapshot.command_offsets(partition, int(offsets[-1]) + 1, np.iinfo(np.int64).min)
        standing = ~np.isin(at, known.unsure)
        surely = _highest_before(*known.genuine, offsets) >= own
        perhaps = _highest_before(at[standing], commands[standing], offsets) >= own
        counted: Flags = events & ~surely & ~perhaps & (own >= 0)
        for place in np.flatnonzero(events & ~surely & perhaps & (own >= 0)):
            ((record, _),) = _records(snapshot, partition, rows, np.array([place]))
            counted[place] = bool(counting(snapshot, [open_event(record, self._keys)], self._keys))
        return counted


def _highest_before(offsets: Offsets, commands: Offsets, at: Ints) -> Ints:
    """The highest command offset of the rows before each offset, -1 where there is none."""
    highest = np.append(-1, np.maximum.accumulate(commands)) if len(commands) else np.array([-1])
    return highest[np.searchsorted(offsets, at)]


def _rows_behind(snapshot: Snapshot, partition: int, end: int) -> Iterator[pa.RecordBatch]:
    for segment in snapshot.segments:
        if segment.partition == partition and segment.last > end:
            for batch in read_batches(segment, _READ, BATCH):
                first = batch["offset"][0].as_py()
                inside = batch.slice(max(0, end + 1 - first))
                if len(inside):
                    yield inside
    tail = snapshot.tail.filter((pc.field("partition") == partition) & (pc.field("offset") > end))
    yield from tail.select(_READ).combine_chunks().to_batches(BATCH)


def _records(
    snapshot: Snapshot, partition: int, rows: pa.RecordBatch, places: Ints
) -> Iterator[tuple[LogRecord, str]]:
    for row in rows.take(pa.array(places)).to_pylist():
        yield (
            LogRecord(
                snapshot.topic, partition, row["offset"], row["timestamp_ms"], row["key"], row["value"]
            ),
            row["subject"],
        )


def _clear_of_all(record: LogRecord, subject: str) -> pa.Table:
    row = {"offset": record.offset, "time": record.timestamp_ms, "subject": subject, "whole_tenant": True}
    return pa.Table.from_pylist([row], schema=CLEARS)


def _texts(opened: OpenedColumns, name: str, rows: Flags) -> list[str]:
    found: list[str] = (
        slices(opened.envelope, name).take(np.flatnonzero(rows)).array(pa.large_string()).unique().to_pylist()
    )
    return found
