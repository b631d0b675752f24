"""The history of one memory as a caller reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from memfold.audit.version_fold import Version, version_fold
from memfold.schemas.records import Event

Entry = dict[str, Any]
"""One version, ready for JSON. Mem0's fields: id, memory_id, old_memory, new_memory, event (ADD, UPDATE or DELETE), created_at and
updated_at (ISO 8601 in UTC, by the broker's clock; of an imported version when it happened where it comes from), is_deleted,
actor_id, role. Ours: version, command_id, event_id, partition, offset, metadata (a dict) and reason: "clear" where delete_all or
reset took the memory out of view, "imported from mem0" where the version was brought along, else what the event gives."""


def versions(events: Iterable[Event], memory_id: str) -> list[Entry]:
    """Every version of a memory, oldest first. `events` are fenced, in log order, as HistoryLog gives them; see `version_fold`."""
    return [_entry(version) for version in version_fold(events, memory_id)]


def _entry(version: Version) -> Entry:
    event, memory_id, deleted = version.event, version.memory_id, version.op == "DELETE"
    return {
        "id": str(uuid5(NAMESPACE_OID, f"{event.envelope.record_id}/{memory_id}/{version.place}")),
        "memory_id": memory_id,
        "old_memory": version.previous,
        "new_memory": version.text,
        "event": version.op,
        "created_at": None if version.created_at is None else version.created_at.isoformat(),
        "updated_at": None if version.op == "ADD" else (version.happened_at or event.recorded_at).isoformat(),
        "is_deleted": deleted,
        "actor_id": version.actor_id,
        "role": version.said.role,
        "version": version.version,
        "command_id": event.envelope.command_id,
        "event_id": event.envelope.record_id,
        "partition": event.partition,
        "offset": event.offset,
        "metadata": json.loads(version.said.metadata),
        "reason": version.reason,
    }
