"""Memories as they were at one event, by the log alone: the vector projection's own fold over what came before it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from memfold.audit.bounds import Bounds
from memfold.audit.errors import TooMuchToOpen
from memfold.audit.full_log import FullLog
from memfold.audit.history import DuckDBHistory
from memfold.memory.changed import Around, Cleared
from memfold.memory.ports import MemoryRow
from memfold.projections.vector_fold import fold, moment
from memfold.projections.vector_rows import Row
from memfold.schemas.records import Event, RelationChange, Scope

_relations = msgspec.json.Decoder(list[RelationChange])


async def around(history: DuckDBHistory, event: Event, memory_ids: Sequence[str]) -> dict[str, Around]:
    """These memories right before and right after an event. Raises as `history`."""
    found: dict[str, Around] = {}
    for memory_id in memory_ids:
        events = await history.events_of(event.envelope.tenant, memory_id)
        earlier = [one for one in events if _before(one, event)]
        before, after = current(earlier), current([*earlier, event])
        found[memory_id] = Around(before.get(memory_id), after.get(memory_id))
    return found


def cleared(log: FullLog, event: Event, subjects: Collection[str] | None) -> Cleared:
    """The memories that the clears of an event took, of these subjects, None: of anybody; oldest first.

    `rows` is None where more would have to be opened than one question may. Raises as `FullLog.lives_of`.
    """
    bounds = Bounds(event.envelope.tenant, partition=event.partition)
    try:
        events = log.lives_of(bounds, None if subjects is None else set(subjects)).events
    except TooMuchToOpen:
        return Cleared(None)
    earlier = [one for one in events if _before(one, event)]
    before, kept = current(earlier), current([*earlier, _only_clears(event)])
    gone = [row for memory_id, row in before.items() if memory_id not in kept]
    return Cleared(sorted(gone, key=lambda row: (row.added_offset, row.ordinal)))


def current(events: Sequence[Event]) -> dict[str, MemoryRow]:
    """The memories that are current after the events of one partition, by id."""
    return {row.memory_id: _memory(row) for row in fold(events, []) if row.valid_to is None}


def _before(one: Event, event: Event) -> bool:
    return one.partition == event.partition and one.offset < event.offset


def _only_clears(event: Event) -> Event:
    body = msgspec.structs.replace(event.body, operations=[], relations=[])
    return msgspec.structs.replace(event, body=body)


def _memory(row: Row) -> MemoryRow:
    return MemoryRow(
        tenant=row.tenant,
        subject=row.subject,
        memory_id=row.memory_id,
        version=row.version,
        text=row.text,
        scope=Scope(row.user_id, row.agent_id, row.run_id, row.actor_id),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        valid_from=moment(row.valid_from),
        role=row.role,
        metadata=row.metadata,
        relations=_relations.decode(row.relations),
        kind=row.kind,
        pending=row.pending,
        when=row.when,
        added_offset=row.added_offset,
        ordinal=row.ordinal,
    )
