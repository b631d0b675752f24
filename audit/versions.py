"""The history of one memory as a caller reads it: a pure fold of the events that touch it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from memfold.schemas.records import Clear, Event, Operation, Scope

Entry = dict[str, Any]
"""One version, ready for JSON. Mem0's fields: id, memory_id, old_memory, new_memory, event (ADD, UPDATE or DELETE), created_at and
updated_at (ISO 8601 in UTC, by the broker's clock), is_deleted, actor_id, role. Ours: version, command_id, event_id, partition,
offset, metadata (a dict) and reason: "clear" where delete_all or reset took the memory out of view, else what the event gives."""


def versions(events: Iterable[Event], memory_id: str) -> list[Entry]:
    """Every version of a memory, oldest first. `events` are fenced, in log order, as HistoryLog gives them.

    A clear counts where it covers the memory's scope while the memory is current. An UPDATE or DELETE of a memory that is gone
    changed nothing and is left out.
    """
    fold = _Fold(memory_id)
    for event in events:
        for ordinal, clear in enumerate(event.body.clears):
            fold.clear(event, ordinal, clear)
        for ordinal, operation in enumerate(event.body.operations):
            if operation.memory_id == memory_id:
                fold.operate(event, ordinal, operation)
    return fold.entries


@dataclass(slots=True)
class _Fold:
    memory_id: str
    entries: list[Entry] = field(default_factory=list)
    current: Operation | None = None
    subject: str = ""
    created_at: str | None = None

    def clear(self, event: Event, ordinal: int, clear: Clear) -> None:
        before = self.current
        own = event.envelope.subject == self.subject
        if before and (clear.whole_tenant or (own and clear.scope.covers(before.scope))):
            gone = Operation("DELETE", self.memory_id, before.version + 1, before.text, Scope())
            self._add(event, f"clear {ordinal}", gone, "clear")

    def operate(self, event: Event, ordinal: int, done: Operation) -> None:
        known = self.current is not None or (not self.entries and done.op != "DELETE")
        if done.op == "ADD" or (done.op in ("UPDATE", "DELETE") and known):
            self._add(event, f"operation {ordinal}", done, event.body.reason or None)

    def _add(self, event: Event, ordinal: str, done: Operation, reason: str | None) -> None:
        before, deleted = self.current, done.op == "DELETE"
        recorded_at = event.recorded_at.isoformat()
        if done.op == "ADD":
            self.created_at = recorded_at
        kept = before if before and deleted else done
        entry: Entry = {
            "id": str(uuid5(NAMESPACE_OID, f"{event.envelope.record_id}/{self.memory_id}/{ordinal}")),
            "memory_id": self.memory_id,
            "old_memory": before.text if before else done.previous_text,
            "new_memory": None if deleted else done.text,
            "event": done.op,
            "created_at": self.created_at,
            "updated_at": None if done.op == "ADD" else recorded_at,
            "is_deleted": deleted,
            "actor_id": done.scope.actor_id,
            "role": kept.role,
            "version": done.version,
            "command_id": event.envelope.command_id,
            "event_id": event.envelope.record_id,
            "partition": event.partition,
            "offset": event.offset,
            "metadata": json.loads(kept.metadata),
            "reason": reason,
        }
        self.entries.append(entry)
        self.subject = event.envelope.subject
        self.current = None if deleted else done
