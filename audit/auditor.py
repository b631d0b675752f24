"""The questions of an audit over the opened parts of one tenant: what AsyncAudit asks once it is connected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from memfold.audit.bounds import Bounds, until_with
from memfold.audit.bundle import Bundle, Bundling, Selection
from memfold.audit.changes import diff, state
from memfold.audit.decoded import shown
from memfold.audit.entries import log_entry, timeline_entries
from memfold.audit.errors import UnknownRecord
from memfold.audit.exported import exported
from memfold.audit.full_log import FullLog, relations_of, versions_of
from memfold.audit.history import DuckDBHistory
from memfold.audit.opened_reads import told_read
from memfold.audit.relation_fold import Asserted
from memfold.audit.report import Report
from memfold.audit.report_access import access_report
from memfold.audit.report_changes import changes_report
from memfold.audit.report_models import models_report
from memfold.audit.report_retention import retention_report
from memfold.audit.result import AuditResult
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_key
from memfold.audit.snapshot import Snapshot
from memfold.audit.version_fold import Version
from memfold.memory.errors import InvalidInput
from memfold.memory.noting import note
from memfold.memory.reads import Reads
from memfold.schemas.partitions import CLEARS
from memfold.schemas.records import Scope

Told = dict[str, Any]
ReportName = Literal["access", "changes", "models", "retention"]


class Seals(Struct, frozen=True):
    """Where the seals of the log are, and how to archive and seal what is in it now."""

    folder: Path
    renew: Callable[[], object]


class Auditor(Struct, frozen=True):
    """One tenant's log. Every method blocks on files and on Kafka: call it from a thread."""

    tenant: str
    history: DuckDBHistory
    log: FullLog
    seals: Seals
    reads: Reads = Reads("")

    def sql(self, sql: str, bounds: Bounds) -> AuditResult:
        return self.log.sql(sql, bounds)

    def as_of(self, bounds: Bounds, at: datetime) -> Told:
        if bounds.subject is None:
            return self.log.state(bounds, at)
        versions, relations = self._folded(bounds, at)
        return state(versions, relations, bounds.scope, at)

    def memories_then(self, bounds: Bounds, at: datetime) -> AuditResult:
        return self.log.memories_then(bounds, at)

    def diff(self, bounds: Bounds, start: datetime, end: datetime) -> Told:
        if start >= end:
            raise InvalidInput(f"from {start.isoformat()} is not before to {end.isoformat()}; swap them")
        versions, relations = self._folded(bounds, end)
        return diff(versions, relations, bounds.scope, start, end)

    def timeline(self, bounds: Bounds) -> list[Told]:
        read = self.log.lives(bounds)
        return timeline_entries(versions_of(read.events, bounds), relations_of(read.events, bounds), bounds)

    def newest(self, bounds: Bounds, limit: int) -> list[Told]:
        """The newest events inside the bounds, the newest first."""
        read = self.log.window(bounds, limit)
        events = sorted(read.events, key=lambda event: (event.recorded_at, event.offset), reverse=True)
        return [log_entry(event, self.log.directory) for event in events]

    def behind(self, bounds: Bounds) -> tuple[list[Told], tuple[int, ...]]:
        """The events behind the offsets `bounds.after`, in the order of their times, and where the log ended then."""
        read = self.log.window(bounds)
        events = sorted(read.events, key=lambda event: (event.recorded_at, event.partition, event.offset))
        return [log_entry(event, self.log.directory) for event in events], read.end

    def newest_reads(self, bounds: Bounds, limit: int) -> list[Told]:
        """The newest reads inside the bounds, the newest first."""
        events, _ = self.log.reads(bounds)
        newest = sorted(events, key=lambda event: (event.at, event.offset), reverse=True)[:limit]
        directory = self.log.directory
        nobodys = directory.known_subject(self.tenant, "tenant", self.tenant)
        return [
            told_read(event, None if subject == nobodys else directory.name_of(subject))
            for event in newest
            for subject in [event.envelope.subject]
        ]

    def end(self) -> tuple[int, ...]:
        """The last offset of each partition of memfold.events."""
        return self.log.events.ask(Snapshot.end)

    def show(self, record_id: str) -> Told:
        """The record of an event, a command or a read. Raises UnknownRecord."""
        for topic in (self.log.events, self.log.commands, self.log.access):
            records = topic.ask(lambda snapshot: snapshot.record(self.tenant, record_id))
            told = [shown(record, self.log.keys) for record in records]
            for one in told:
                if one["closed"] is None:
                    note(one["envelope"]["subject"], one["envelope"]["memory_ids"])
            genuine = [one for one in told if one["closed"] is None] or told
            if genuine:
                others = [{name: one[name] for name in ("topic", "partition", "offset")} for one in told]
                return {
                    **genuine[0],
                    "written_again": [one for one in others if one["offset"] != genuine[0]["offset"]],
                }
        raise UnknownRecord(f"no event, command or read of this tenant has the id {record_id}")

    def exported(self, bounds: Bounds) -> Told:
        """{results, left_out}: memories with their history, as `audit.exported` tells them, subject by subject: there may be more of
        them than one question may open.
        """
        results: list[Told] = []
        left_out: Counter[str] = Counter()
        for subject, _, _ in self.log.directory.subjects(self.tenant):
            if bounds.subject not in (None, subject):
                continue
            own = replace(bounds, subject=subject, scope=Scope())
            read = self.log.lives(own)
            left_out.update(read.left_out())
            results += exported(versions_of(read.events, own), relations_of(read.events, own), bounds.scope)
        return {"results": results, "left_out": dict(left_out)}

    def report(self, name: ReportName, bounds: Bounds) -> Report:
        """Raises as the report does."""
        if name == "retention":
            return retention_report(self.log, self.seals.folder, bounds)
        made = {"access": access_report, "changes": changes_report, "models": models_report}
        return made[name](self.log, bounds)

    def bundle(self, bounds: Bounds, selection: Selection, witnessed: Sequence[str]) -> Bundle:
        """Evidence of one user, sealed first. Raises as `Bundling.bundle`, and what sealing raises."""
        if bounds.subject:
            # A bundle holds the user's key, or bytes that it opens.
            note(bounds.subject, [CLEARS])
        self.seals.renew()
        signer, files = seal_key(self.seals.folder), SealFiles(self.seals.folder)
        return Bundling(self.log, files, signer, witnessed).bundle(bounds, selection)

    def _folded(self, bounds: Bounds, at: datetime) -> tuple[list[Version], list[Asserted]]:
        read = self.log.lives(replace(bounds, until=until_with(at)))
        return versions_of(read.events, bounds), relations_of(read.events, bounds)
