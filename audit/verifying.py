"""Kafka against archive against seals: every value hashed, every tree grown again, every checkpoint compared, every record opened.

Per partition the archive is read once, in order. Where a segment is damaged the log's own records go on in its place, so that one
bad file does not hide what comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from memfold.audit.archived import ArchivedTree, Rows, leaves_of
from memfold.audit.authenticity import Authenticity, CommandIds, decoded_of
from memfold.audit.checkpoints import Checkpoint, TreeName
from memfold.audit.findings import Report
from memfold.audit.merkle import CompactRange, consistency_proof, is_consistent, root_of
from memfold.audit.node_file import NodeFile, peaks_of
from memfold.audit.notes import Verifier
from memfold.audit.opened_rows import Sure, sure_of
from memfold.audit.pins import Pin, Pins, pins_of
from memfold.audit.seal_errors import NoteRefused
from memfold.audit.seal_files import SealFiles
from memfold.memory.errors import LogDamaged, LogTruncated
from memfold.projections.archive_rows import table_of
from memfold.schemas.columns import Flags
from memfold.schemas.errors import Unreadable
from memfold.schemas.opening import Decoded, Keys
from memfold.schemas.partitions import COMMANDS, KEPT, SEALS
from memfold.schemas.records import LogRecord

Advance = Callable[[int], None]


class Log(Protocol):
    """Kafka, as LogReader reads it."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]: ...
    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]: ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is held against each other. `log` None: the archive alone. `keys` None: nothing is opened. `against`: notes kept elsewhere.

    `records` False: hashes, positions and signatures only. `since` in milliseconds: what was sealed before is taken as verified.
    """

    archive: Path
    seals: Path
    partitions: int
    verifier: Verifier
    log: Log | None = None
    keys: Keys | None = None
    against: Sequence[tuple[str, str]] = ()
    since: int = 0
    records: bool = True
    moved: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """{(topic, partition): offset before which records may stand in another partition}, of a log that was repartitioned."""


def verify(evidence: Evidence, advance: Advance = lambda _: None) -> Report:
    """Check everything; `advance` is told how many more records are done. Raises what the log raises when it does not answer."""
    report = Report(key=str(evidence.verifier))
    published = _published(evidence.log, report) if evidence.log else []
    pins = pins_of(SealFiles(evidence.seals), evidence.verifier, published, report)
    for where, note in evidence.against:
        try:
            pins.add_note(note, evidence.verifier, where)
        except NoteRefused as refused:
            report.add("seal", f"{where}: {refused}", file=where)
    trusted = pins.before(evidence.since) if evidence.since else {}
    for partition in range(evidence.partitions):
        commands = CommandIds()
        for topic in KEPT:
            tree = TreeName(topic, partition)
            _Tree(evidence, tree, pins, commands, report, advance).run(trusted.get(tree))
    return report


def _published(log: Log, report: Report) -> list[bytes]:
    try:
        low, end = log.bounds(SEALS, 0)
        return [record.value for batch in log.read(SEALS, 0, low, end) for record in batch]
    except LogDamaged as damage:
        report.add("log", str(damage), topic=SEALS, partition=0)
        return []


def _in_place(rows: pa.RecordBatch, tree: TreeName) -> Flags:
    """Whose topic and partition are the tree's."""
    topics = rows["topic"].dictionary_encode()
    right = np.array([topic == tree.topic for topic in topics.dictionary.to_pylist()], bool)
    placed: Flags = right[topics.indices.to_numpy()] & (rows["partition"].to_numpy() == tree.partition)
    return placed


class _Tree:
    def __init__(
        self, evidence: Evidence, tree: TreeName, pins: Pins, commands: CommandIds, report: Report, advance: Advance
    ) -> None:  # fmt: skip
        self._evidence, self._name, self._report, self._advance = evidence, tree, report, advance
        self._archived = ArchivedTree(evidence.archive, tree, report, whole=evidence.records)
        self._pins = sorted(pins.by_tree.get(tree, ()))
        self._range, self._matched, self._mismatched = CompactRange(), 0, False
        self._sealed = pins.sealed(tree)
        self._commands = commands
        self._authenticity = Authenticity(
            tree,
            self._archived,
            evidence.keys,
            commands,
            report,
            evidence.moved.get((tree.topic, tree.partition), 0),
        )
        self._log_end = 0
        self._log: Iterator[LogRecord] | None = None

    def run(self, trusted: Checkpoint | None) -> None:
        if trusted is not None:
            self._trust(trusted)
        start = self._range.size
        if self._name.topic == COMMANDS:
            self._commands.first = self._commands.end = start
        self._open_log(start)
        self._compare()
        for rows in self._archived.rows(start):
            self._take_rows(rows)
        self._take_rest_of_log()
        self._count(start)

    def _trust(self, trusted: Checkpoint) -> None:
        """Begin behind a signed checkpoint, at the peaks that the node file has, if they give its root; else from the beginning."""
        path = SealFiles(self._evidence.seals).nodes_path(self._name)
        if not path.exists():
            return
        nodes = NodeFile(path)
        try:
            if root_of(trusted.size, nodes) != trusted.root:
                return
            self._range = CompactRange(trusted.size, peaks_of(trusted.size, nodes))
            self._matched = trusted.size
            self._report.trusted_before = max(self._report.trusted_before, trusted.size)
            for pin in [pin for pin in self._pins if pin.size < trusted.size]:
                proof = consistency_proof(pin.size, trusted.size, nodes)
                if not is_consistent(pin.size, trusted.size, proof, pin.root, trusted.root):
                    self._report.add(
                        "root", f"{self._name}: {pin.where} is not the beginning of the tree that was sealed later",
                        self._name, offset=0, last=pin.size - 1,
                    )  # fmt: skip
            self._pins = [pin for pin in self._pins if pin.size >= trusted.size]
        finally:
            nodes.close()

    def _take_rows(self, rows: Rows) -> None:
        if rows.first != self._range.size:
            return
        self._grow(rows.leaves)
        if self._evidence.records:
            records = rows.records(self._name)
            decoded = self._opened(rows, records)
            self._compare_with_log(records)
            self._authenticity.check(records, decoded)
        self._report.counts.archived += len(rows.values)
        self._advance(len(rows.values))

    def _opened(self, rows: Rows, records: list[LogRecord]) -> list[Decoded | Unreadable | Sure]:
        """The envelopes, nearly all of them in columns; one by one where a record or the columns beside it are not as they should be."""
        if self._evidence.keys is None:
            decoded = decoded_of(records)
            self._check_columns(rows, range(len(records)), records, decoded)
            return list(decoded)
        sure, same = sure_of(rows.table, self._evidence.keys)
        same &= _in_place(rows.table, self._name)
        rest = [number for number in range(len(records)) if not same[number]]
        decoded = decoded_of([records[number] for number in rest])
        self._check_columns(rows, rest, [records[number] for number in rest], decoded)
        alone = dict(zip(rest, decoded, strict=True))
        return [known or alone[number] for number, known in enumerate(sure)]

    def _check_columns(
        self, rows: Rows, numbers: Sequence[int], records: list[LogRecord], decoded: Sequence[Decoded | Unreadable]
    ) -> None:  # fmt: skip
        """The clear columns are what queries filter by: they must be those of the value."""
        envelopes = [None if isinstance(each, Unreadable) else each[0] for each in decoded]
        anew = table_of(records, envelopes).drop_columns("leaf_hash")
        read = (
            pa.Table.from_batches([rows.table]).drop_columns("leaf_hash").take(pa.array(numbers, pa.int64()))
        )
        if read.equals(anew):
            return
        for place, number in enumerate(numbers):
            if not read.slice(place, 1).equals(anew.slice(place, 1)):
                offset = rows.first + number
                self._report.add(
                    "columns", f"{self._name} offset {offset}: the archived columns are not those of the value", self._name,
                    file=self._archived.file_of(offset), offset=offset, last=offset,
                    memory_ids=self._archived.memory_ids(offset, offset),
                )  # fmt: skip

    def _open_log(self, start: int) -> None:
        if self._evidence.log is None or not self._evidence.records:
            return
        low, self._log_end = self._evidence.log.bounds(self._name.topic, self._name.partition)
        if low > start:
            self._report.add(
                "lost", f"{self._name}: Kafka begins at offset {low}; what was before is in the archive only", self._name,
                offset=start, last=low - 1,
            )  # fmt: skip
            return
        self._log = self._records_of_log(start)

    def _records_of_log(self, start: int) -> Iterator[LogRecord]:
        assert self._evidence.log is not None
        try:
            for batch in self._evidence.log.read(
                self._name.topic, self._name.partition, start, self._log_end
            ):
                yield from batch
        except (LogDamaged, LogTruncated) as damage:
            offset = damage.offset if isinstance(damage, LogDamaged) else -1
            self._report.add("log", str(damage), self._name, offset=offset, last=self._log_end - 1,
                             memory_ids=self._archived.memory_ids(offset, offset))  # fmt: skip

    def _compare_with_log(self, records: list[LogRecord]) -> None:
        if self._log is None:
            return
        for record in records:
            logged = next(self._log, None)
            if logged is None:
                if record.offset >= self._log_end:
                    self._report.add(
                        "lost", f"{self._name}: Kafka ends before offset {record.offset}, which is archived", self._name,
                        file=self._archived.file_of(record.offset), offset=record.offset, last=self._archived.end - 1,
                    )  # fmt: skip
                self._log = None
                return
            self._report.counts.compared_with_log += 1
            if logged != record:
                fields = ("offset", "timestamp_ms", "key", "value")
                differ = [name for name in fields if getattr(logged, name) != getattr(record, name)]
                self._report.add(
                    "log", f"{self._name} offset {record.offset}: Kafka and archive differ in {', '.join(differ)}", self._name,
                    file=self._archived.file_of(record.offset), offset=record.offset, last=record.offset,
                    memory_ids=self._archived.memory_ids(record.offset, record.offset),
                )  # fmt: skip

    def _take_rest_of_log(self) -> None:
        """What the archive does not have, or cannot read: the log's own records go on with the tree."""
        if self._log is None:
            return
        held: list[LogRecord] = []
        for record in self._log:
            held.append(record)
            if len(held) == 5_000:
                self._take_logged(held)
                held = []
        self._take_logged(held)

    def _take_logged(self, records: list[LogRecord]) -> None:
        if records and records[0].offset == self._range.size:
            self._grow(leaves_of(records))
        self._authenticity.check(records, decoded_of(records))
        self._report.counts.unarchived += sum(record.offset >= self._archived.end for record in records)
        self._advance(len(records))

    def _grow(self, leaves: list[bytes]) -> None:
        """Append leaves, stopping at each size that a pin is about."""
        done = 0
        while done < len(leaves):
            due = next((pin.size for pin in self._pins if pin.size > self._range.size), None)
            step = len(leaves) - done if due is None else min(len(leaves) - done, due - self._range.size)
            self._range.extend(leaves[done : done + step])
            done += step
            self._compare()

    def _compare(self) -> None:
        while self._pins and self._pins[0].size == self._range.size:
            pin = self._pins.pop(0)
            if pin.root == self._range.root():
                self._matched = pin.size
                continue
            if not self._mismatched:
                self._mismatch(pin)
            self._mismatched = True

    def _mismatch(self, pin: Pin) -> None:
        """Only the first is named: every checkpoint behind a changed record differs."""
        first, last = self._matched, pin.size - 1
        self._report.add(
            "root", f"{self._name}: the first {pin.size} records are not those of {pin.where}; "
            f"a record from offset {first} to {last} was changed, moved or removed", self._name,
            file=self._archived.file_of(first), offset=first, last=last,
            memory_ids=self._archived.memory_ids(first, last),
        )  # fmt: skip

    def _count(self, start: int) -> None:
        """What was promised and is not there, and how much there is."""
        size, counts = self._range.size, self._report.counts
        if self._pins and not any(
            f.kind == "file" and (f.topic, f.partition) == (self._name.topic, self._name.partition)
            for f in self._report.findings
        ):
            pin = self._pins[0]
            self._report.add(
                "root", f"{self._name}: {pin.where} is about {pin.size} records, but there are only {size}", self._name,
                offset=size, last=self._pins[-1].size - 1,
            )  # fmt: skip
        counts.records += size - start
        counts.sealed += min(self._sealed, size)
        counts.unsealed += max(0, size - self._sealed)
