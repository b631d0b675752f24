"""The full log to ask: commands, events and quarantine, archived or not, inside bounds that are applied before anything is opened."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.dataset as ds  # type: ignore[import-untyped]

from memfold.audit.bounds import Bounds, Directory
from memfold.audit.callers_sql import CallersSQL, named
from memfold.audit.connection import ReadOnlySQL
from memfold.audit.quarantined import quarantine_rows
from memfold.audit.reading import MAX_OPENED, Read, Reading
from memfold.audit.relation_fold import Asserted, relation_fold
from memfold.audit.result import AuditResult
from memfold.audit.snapshot import Snapshot
from memfold.audit.snapshots import Snapshots, ask
from memfold.audit.tail import Tail
from memfold.audit.version_fold import Version, version_fold
from memfold.audit.view_rows import Row, call_rows, relation_rows, version_rows
from memfold.audit.views import VIEWS
from memfold.schemas.opening import Keys
from memfold.schemas.partitions import COMMANDS, EVENTS, QUARANTINE
from memfold.schemas.records import Event

_FOLDED = ("versions", "memories", "relations")


class FullLog:
    """Commands and events of one deployment under `archive`, and what is behind it in the log. Safe to share between threads."""

    def __init__(
        self,
        archive: Path,
        partitions: int,
        tail: Tail,
        keys: Keys,
        directory: Directory,
        *,
        limit: int = MAX_OPENED,
    ) -> None:
        self.keys, self.directory = keys, directory
        self.archive, self.partitions = archive, partitions
        self._tail = tail
        self._sql = ReadOnlySQL(archive.resolve())
        self._callers = CallersSQL()
        self._reading = Reading(keys, limit)
        self.events = Snapshots(self._sql, archive.resolve(), EVENTS, partitions, tail)
        self.commands = Snapshots(self._sql, archive.resolve(), COMMANDS, partitions, tail)

    def lives(self, bounds: Bounds) -> Read:
        """All events up to `until` of the subjects that have one inside the bounds, and what cleared their tenant.

        Raises TooMuchToOpen, UnknownKey, ShardDamaged, LogTruncated, and what the tail raises.
        """
        return self.events.ask(lambda snapshot: self._reading.lives(snapshot, bounds))

    def window(self, bounds: Bounds, newest: int | None = None) -> Read:
        """The events inside the bounds; of the `newest` rows, if given. Raises as `lives`."""
        return self.events.ask(lambda snapshot: self._reading.window(snapshot, bounds, newest))

    def sql(self, sql: str, bounds: Bounds) -> AuditResult:
        """One SELECT over the views inside the bounds. Raises InvalidInput, QueryStopped, and as `lives`."""
        wanted = named(sql)
        tables: dict[str, pa.Table | ds.Dataset] = {}
        read = Read()
        if any(name in _FOLDED for name in wanted):
            read = self.lives(bounds)
        elif "model_calls" in wanted:
            read = self.window(bounds)
        for name in wanted:
            if not VIEWS[name].topic:
                tables[name] = pa.Table.from_pylist(self._rows(name, read, bounds), schema=VIEWS[name].schema)
        table = self._query(sql, [name for name in wanted if VIEWS[name].topic], tables, bounds)
        return AuditResult(table, read.left_out())

    def _rows(self, name: str, read: Read, bounds: Bounds) -> list[Row]:
        if name == "model_calls":
            return call_rows(read.events, bounds)
        if name == "versions":
            return version_rows(versions_of(read.events, bounds), bounds)
        if name == "memories":
            return version_rows((one for one in versions_of(read.events, bounds) if one.current()), bounds)
        if name == "relations":
            return relation_rows(relations_of(read.events, bounds), bounds)
        if name == "quarantine":
            return quarantine_rows(self._tail.records_after(QUARANTINE, 0, -1), bounds)
        whose = self.directory.subjects(bounds.tenant)
        return [
            {"subject": subject, "kind": kind, "id": name}
            for subject, kind, name in whose
            if bounds.subject in (None, subject)
        ]

    def _query(
        self, sql: str, clear: Sequence[str], tables: dict[str, pa.Table | ds.Dataset], bounds: Bounds
    ) -> pa.Table:
        """The clear views are read while the query runs, so each is asked of a snapshot that lasts as long."""
        topics = {"events": self.events, "commands": self.commands}

        def inside(taken: list[Snapshot]) -> pa.Table:
            given = {
                name: snapshot.clear_columns(bounds) for name, snapshot in zip(clear, taken, strict=True)
            }
            return self._callers.query(sql, {**tables, **given})

        return ask([topics[name] for name in clear], inside)

    def close(self) -> None:
        """Waits for the questions that are being answered."""
        self.events.close()
        self.commands.close()
        self._callers.close()
        self._sql.close()


def versions_of(events: Sequence[Event], bounds: Bounds) -> list[Version]:
    """The versions that the events made, of the bounds' subject."""
    return [
        one
        for _, group in groupby(events, key=lambda event: event.partition)
        for one in version_fold(group, bounds.memory_id)
    ]


def relations_of(events: Sequence[Event], bounds: Bounds) -> list[Asserted]:
    """The relations that the events asserted, of the bounds' subject."""
    return [
        one
        for _, group in groupby(events, key=lambda event: event.partition)
        for one in relation_fold(group)
        if bounds.subject in (None, one.subject)
    ]
