"""The full log to ask: commands, events, reads and quarantine, archived or not, inside bounds applied before anything is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.dataset as ds  # type: ignore[import-untyped]
from msgspec.structs import replace

from memfold.audit.bounds import Bounds, Directory, until_with
from memfold.audit.callers_sql import CallersSQL, named
from memfold.audit.changes import Told, state
from memfold.audit.connection import ReadOnlySQL
from memfold.audit.errors import TooMuchToOpen
from memfold.audit.opened_reads import ReadEvent, opened_reads, read_rows
from memfold.audit.past import Past
from memfold.audit.past_state import (
    Then,
    held_relations,
    held_versions,
    memories_table,
    told_relations,
    told_versions,
    with_told,
)
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
from memfold.memory.noting import going_on, note
from memfold.schemas.opening import Keys
from memfold.schemas.partitions import ACCESS, COMMANDS, EVENTS, QUARANTINE
from memfold.schemas.records import Event

IN_COLUMNS = 20
"""How many times as many records one question may open in columns: each takes a tenth of the time, and keeps no vector."""
_HELD = pa.schema([("subject", pa.large_string()), ("memory_id", pa.large_string())])
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
        self._reading, self._limit = Reading(keys, limit), limit
        self._pasts: dict[str, Past] = {}
        self.events = Snapshots(self._sql, archive.resolve(), EVENTS, partitions, tail)
        self.commands = Snapshots(self._sql, archive.resolve(), COMMANDS, partitions, tail)
        self.access = Snapshots(self._sql, archive.resolve(), ACCESS, partitions, tail)

    def lives(self, bounds: Bounds) -> Read:
        """All events up to `until` of the subjects that have one inside the bounds, and what cleared their tenant.

        Raises TooMuchToOpen, UnknownKey, ShardDamaged, LogTruncated, and what the tail raises.
        """
        return self.events.ask(lambda snapshot: self._reading.lives(snapshot, bounds))

    def lives_of(self, bounds: Bounds, subjects: set[str] | None) -> Read:
        """`lives` of the subjects, None: of anybody. Raises as it does."""
        return self.events.ask(lambda snapshot: self._reading.lives_of(snapshot, bounds, subjects))

    def state(self, bounds: Bounds, at: datetime) -> Told:
        """What the memories of everybody in the tenant said at a moment, and the relations that were held, as `changes.state` tells it.

        Everything is opened at the first question and remembered in columns: up to IN_COLUMNS times as many records as other
        questions may open. Raises as `lives`.
        """

        def inside(snapshot: Snapshot) -> Told:
            then = self._then(snapshot, bounds, at)
            other = self._state_of_special(snapshot, bounds, at, then[-1])
            versions, relations = held_versions(*then), held_relations(*then)
            _note_held(versions, relations)
            return {
                "at": at.isoformat(),
                "results": _merged(told_versions(versions), other["results"]),
                "relations": _merged(told_relations(relations), other["relations"]),
            }

        return self.events.ask(inside)

    def memories_then(self, bounds: Bounds, at: datetime) -> AuditResult:
        """The memories of `state` as one table, in the columns `past_state.MEMORIES`. Raises as `lives`."""

        def inside(snapshot: Snapshot) -> AuditResult:
            then = self._then(snapshot, bounds, at)
            other = self._state_of_special(snapshot, bounds, at, then[-1])["results"]
            versions = held_versions(*then)
            _note_held(versions)
            return AuditResult(with_told(memories_table(versions), other))

        return self.events.ask(inside)

    def past(self, tenant: str) -> Past:
        """What is remembered of a tenant; use it inside a question to `events`."""
        return self._pasts.setdefault(tenant, Past(tenant, self.keys))

    def _then(self, snapshot: Snapshot, bounds: Bounds, at: datetime) -> Then:
        past, most = self.past(bounds.tenant), self._limit * IN_COLUMNS
        if (new := past.new(snapshot)) > most:
            raise TooMuchToOpen(
                f"{new:,} records have to be opened, and at most {most:,} are at once; give user_id"
            )
        partitions = past.partitions(snapshot)
        past.check_keys()
        special = {subject for known in partitions.values() for subject in known.special}
        return partitions, snapshot.ends(until_with(at)), bounds.scope, at, special

    def _state_of_special(self, snapshot: Snapshot, bounds: Bounds, at: datetime, subjects: set[str]) -> Told:
        """Event by event, of those whose lives the columns do not fold."""
        read = Read()
        if subjects:
            read = self._reading.lives_of(snapshot, replace(bounds, until=until_with(at)), subjects)
        return state(versions_of(read.events, bounds), relations_of(read.events, bounds), bounds.scope, at)

    def window(self, bounds: Bounds, newest: int | None = None) -> Read:
        """The events inside the bounds; of the `newest` rows, if given. Raises as `lives`."""
        return self.events.ask(lambda snapshot: self._reading.window(snapshot, bounds, newest))

    def reads(self, bounds: Bounds) -> tuple[list[ReadEvent], Read]:
        """The read events inside the bounds, and what was left out. Raises as `lives`."""
        return self.access.ask(lambda snapshot: opened_reads(snapshot, bounds, self._reading, self.keys))

    def sql(self, sql: str, bounds: Bounds) -> AuditResult:
        """One SELECT over the views inside the bounds. Raises InvalidInput, QueryStopped, and as `lives`."""
        return self.several([sql], bounds)[0]

    def several(self, queries: Sequence[str], bounds: Bounds) -> list[AuditResult]:
        """The answers of several over the same rows, which are opened once. Raises as `sql`."""
        wanted = list(dict.fromkeys(name for sql in queries for name in named(sql)))
        tables: dict[str, pa.Table | ds.Dataset] = {}
        read = Read()
        if any(name in _FOLDED for name in wanted):
            read = self.lives(bounds)
        elif "model_calls" in wanted:
            read = self.window(bounds)
        left_out = read.left_out()
        if "reads" in wanted:
            reads, left = self.reads(bounds)
            tables["reads"] = pa.Table.from_pylist(read_rows(reads), schema=VIEWS["reads"].schema)
            left_out = dict(Counter(left_out) + Counter(left.left_out()))
        for name in wanted:
            if name not in tables and not VIEWS[name].topic:
                tables[name] = pa.Table.from_pylist(self._rows(name, read, bounds), schema=VIEWS[name].schema)
        clear = [name for name in wanted if VIEWS[name].topic]
        return [AuditResult(table, left_out) for table in self._answers(queries, clear, tables, bounds)]

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

    def _answers(
        self,
        queries: Sequence[str],
        clear: Sequence[str],
        tables: dict[str, pa.Table | ds.Dataset],
        bounds: Bounds,
    ) -> list[pa.Table]:
        """The clear views are read while the queries run, so each is asked of a snapshot that lasts as long."""
        topics = {"events": self.events, "commands": self.commands}

        def inside(taken: list[Snapshot]) -> list[pa.Table]:
            given = {
                name: snapshot.clear_columns(bounds) for name, snapshot in zip(clear, taken, strict=True)
            }
            return [self._callers.query(sql, {**tables, **given}) for sql in queries]

        return ask([topics[name] for name in clear], inside)

    def close(self) -> None:
        """Waits for the questions that are being answered."""
        self.events.close()
        self.commands.close()
        self.access.close()
        self._callers.close()
        self._sql.close()


def _note_held(*held: pa.Table) -> None:
    if not going_on():
        return
    for table in held:
        of = (
            table.select(["subject", "memory_id"])
            .cast(_HELD)
            .group_by("subject")
            .aggregate([("memory_id", "list")])
        )
        for row in of.to_pylist():
            note(row["subject"], row["memory_id_list"])


def _merged(plain: list[Told], special: list[Told]) -> list[Told]:
    if not special:
        return plain
    return sorted(plain + special, key=lambda one: (one["partition"], one["offset"]))


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
