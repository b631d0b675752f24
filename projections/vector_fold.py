"""The vector fold, pure: events and the rows that they may touch in, the rows that changed out.

A memory's versions follow each other without a gap or an overlap: `valid_to` of one is `valid_from` of the next, also where the
broker's clock went back. What does not fit is ignored, in the same way whatever the batches are: an ADD of a memory that was
there before, an UPDATE or DELETE of one that is not current or that belongs to another subject, a RESTORE of one that is current
or never was. A restored memory goes on with its versions; there is a gap where it was gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from memfold.projections.vector_rows import Row, decode_relations, scope_of
from memfold.schemas.records import Clear, Envelope, Event, Operation, RelationChange

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WRITES = ("ADD", "UPDATE", "DELETE", "RESTORE")


@dataclass(frozen=True, slots=True)
class Touched:
    """What a batch may change, so that it can be read beforehand: memories by id, and whole subjects and tenants that are cleared."""

    memories: set[str] = field(default_factory=set)
    subjects: set[tuple[str, str]] = field(default_factory=set)
    tenants: set[str] = field(default_factory=set)


def touched(events: Iterable[Event]) -> Touched:
    found = Touched()
    for event in events:
        found.memories.update(done.memory_id for done in event.body.operations if done.op in _WRITES)
        found.memories.update(change.memory_id for change in event.body.relations)
        for clear in event.body.clears:
            if clear.whole_tenant:
                found.tenants.add(event.envelope.tenant)
            else:
                found.subjects.add((event.envelope.tenant, event.envelope.subject))
    return found


def fold(events: Sequence[Event], rows: Iterable[Row]) -> list[Row]:
    """The rows that the events change or add, in log order. `rows`: every row of the memories that are touched, current ones of what
    is cleared; they are changed in place.
    """
    state = _State(rows)
    for event in events:
        state.apply(event)
    return list(state.changed.values())


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The time in UTC of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


class _State:
    def __init__(self, rows: Iterable[Row]) -> None:
        self.changed: dict[str, Row] = {}
        self._last: dict[str, Row] = {}
        self._current: dict[str, Row] = {}
        for row in rows:
            last = self._last.get(row.memory_id)
            if last is None or last.version < row.version:
                self._last[row.memory_id] = row
            if row.valid_to is None:
                self._current[row.memory_id] = row

    def apply(self, event: Event) -> None:
        for clear in event.body.clears:
            self._clear(clear, event)
        for ordinal, done in enumerate(event.body.operations):
            self._operate(done, event, ordinal)
        if event.body.relations:
            self._relate(event.body.relations, event)

    def _clear(self, clear: Clear, event: Event) -> None:
        for row in list(self._current.values()):
            mine = _belongs(row, event.envelope) and clear.scope.covers(scope_of(row))
            if mine or (clear.whole_tenant and row.tenant == event.envelope.tenant):
                self._close(row, event)

    def _operate(self, done: Operation, event: Event, ordinal: int) -> None:
        if done.op == "ADD":
            if done.memory_id not in self._last:
                self._put(done, event, None, ordinal)
        elif done.op == "RESTORE":
            last = self._last.get(done.memory_id)
            if last is not None and last.valid_to is not None and _belongs(last, event.envelope):
                self._put(done, event, last, ordinal)
        elif done.op in _WRITES:
            row = self._current.get(done.memory_id)
            if row is not None and _belongs(row, event.envelope):
                self._close(row, event)
                if done.op == "UPDATE":
                    self._put(done, event, row, ordinal)

    def _close(self, row: Row, event: Event) -> None:
        row.valid_to = max(micros(event.recorded_at), row.valid_from)
        row.evt_offset = event.offset
        self.changed[row.row_id] = row
        del self._current[row.memory_id]

    def _put(self, done: Operation, event: Event, before: Row | None, ordinal: int) -> None:
        recorded_at = micros(event.recorded_at)
        said_at = None if done.said_at is None else micros(done.said_at)
        updated_at = recorded_at if said_at is None else said_at
        # A version number that is taken would overwrite history; `decide` does not give one twice.
        version = done.version if before is None else max(done.version, before.version + 1)
        row = Row(
            row_id=f"{done.memory_id}:{version}",
            tenant=event.envelope.tenant,
            subject=event.envelope.subject,
            memory_id=done.memory_id,
            version=version,
            text=done.text,
            user_id=done.scope.user_id,
            agent_id=done.scope.agent_id,
            run_id=done.scope.run_id,
            actor_id=done.scope.actor_id,
            role=done.role,
            metadata=done.metadata,
            relations="[]" if before is None or done.op == "RESTORE" else before.relations,
            created_at=updated_at if before is None else before.created_at,
            updated_at=updated_at,
            valid_from=_begins(done, recorded_at, before),
            valid_to=None,
            said_at=said_at,
            evt_offset=event.offset,
            kind=done.kind,
            pending=done.pending,
            said=done.said,
            said_count=done.said_count,
            when=done.when,
            added_offset=event.offset if before is None else before.added_offset,
            ordinal=ordinal if before is None else before.ordinal,
            vector=done.vector,
        )
        self._last[row.memory_id] = row
        self._current[row.memory_id] = self.changed[row.row_id] = row

    def _relate(self, changes: Sequence[RelationChange], event: Event) -> None:
        """Relations are carried from version to version until they are retracted; a closed version keeps what it had."""
        by_memory: dict[str, list[RelationChange]] = {}
        for change in changes:
            by_memory.setdefault(change.memory_id, []).append(change)
        for memory_id, mine in by_memory.items():
            row = self._current.get(memory_id)
            if row is None or not _belongs(row, event.envelope):
                continue
            held = {change.assertion_id: change for change in decode_relations(row.relations)}
            for change in mine:
                held.pop(change.assertion_id, None)
                if change.op == "ASSERT":
                    held[change.assertion_id] = change
            relations = msgspec.json.encode(list(held.values())).decode()
            if relations != row.relations:
                row.relations = relations
                row.evt_offset = event.offset
                self.changed[row.row_id] = row


def _begins(done: Operation, recorded_at: int, before: Row | None) -> int:
    if before is None or before.valid_to is None:
        return recorded_at
    return max(recorded_at, before.valid_to) if done.op == "RESTORE" else before.valid_to


def _belongs(row: Row, envelope: Envelope) -> bool:
    return row.tenant == envelope.tenant and row.subject == envelope.subject
