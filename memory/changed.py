"""What an event changed, one change a memory, in the order in which a fold applies it.

Most of it stands in the event. What a fold knows from before does not: which memories a clear took, whose a relation is that ended without
a word about its memory, when an updated memory was first said. `wants` says which memories have to be looked up for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from memfold.memory.filters import Filter, tests
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow
from memfold.memory.results import Result, change_result, operation_result, scope_result, told_result
from memfold.schemas.records import Event, Operation, RelationChange

_LATER = frozenset({"created_at", "relationship", "entity", "entity_type"})
"""Of an updated memory these follow from earlier events too."""
_DELETED = frozenset({"user_id", "agent_id", "run_id", "actor_id", "id", "memory"})
"""Of a deleted memory the event tells these."""


class Around(Struct, frozen=True):
    """A memory right before an event and right after it; None where it was not there, or is not any more."""

    before: MemoryRow | None
    after: MemoryRow | None


class Cleared(Struct, frozen=True):
    """The memories that the clears of an event took, oldest first; None: too many to name."""

    rows: Sequence[MemoryRow] | None = ()


class Change(Struct, frozen=True):
    """One change: whose it is, the memory's id ("" for none), and what is told of it; None if the filter does not let it pass."""

    subject: str
    memory_id: str
    told: Result | None


def wants(event: Event, tree: Filter) -> list[str]:
    """The memories of the event that have to be looked up, for the filter or to be told at all."""
    fields = {test.field for test in tests(tree)}
    done = {one.memory_id: one.op for one in event.body.operations if one.op != "NONE"}
    wanted = [
        memory_id
        for memory_id, op in done.items()
        if (op == "UPDATE" and fields & _LATER) or (op == "DELETE" and fields - _DELETED)
    ]
    return [*wanted, *(memory_id for memory_id in _related(event) if memory_id not in done)]


def changes(event: Event, tree: Filter, around: Mapping[str, Around], cleared: Cleared) -> Iterator[Change]:
    """All changes of an event, those that do not pass too, so that their number is the same for every filter.

    `around` has what `wants` named. A memory that is only looked at (NONE) has not changed.
    """
    yield from _clears(event, tree, cleared)
    relations = _related(event)
    for ordinal, done in enumerate(event.body.operations):
        if done.op != "NONE":
            mine = relations.pop(done.memory_id, ())
            row = _row(event, done, ordinal, mine, around.get(done.memory_id))
            told = operation_result(done) | {"version": done.version} | _more(done)
            yield _change(
                event, tree, _with_ended(row, mine), told | scope_result(done.scope) | _relations(mine)
            )
    for memory_id, changed in relations.items():
        known = around.get(memory_id)
        held = known and (known.after or known.before)
        if held:
            told = _held("RELATIONS", held, held.version) | _relations(changed)
            yield _change(event, tree, _with_ended(held, changed), told)


def erased(subject: str, at: str, memory_ids: Sequence[str]) -> Change:
    """What is left to tell of an event whose subject was erased: that there was one, and the ids it was about."""
    return Change(subject, "", {"id": None, "memory": None, "event": "ERASED", "ids": memory_ids, "at": at})


def _clears(event: Event, tree: Filter, cleared: Cleared) -> Iterator[Change]:
    if cleared.rows is None:
        for clear in event.body.clears:
            told: Result = {"id": None, "memory": None, "event": "CLEAR", **scope_result(clear.scope)}
            yield Change(event.envelope.subject, "", told | _place(event))
        return
    for row in cleared.rows:
        yield _change(event, tree, row, _held("DELETE", row, row.version + 1) | _relations(()))


def _change(event: Event, tree: Filter, row: MemoryRow, told: Result) -> Change:
    return Change(row.subject, row.memory_id, told | _place(event) if matches(tree, row) else None)


def _with_ended(row: MemoryRow, changed: Iterable[RelationChange]) -> MemoryRow:
    """Who asks for a relation wants to be told of its end too."""
    ended = [one for one in changed if one.op == "RETRACT"]
    return replace(row, relations=[*row.relations, *ended]) if ended else row


def _held(what: str, row: MemoryRow, version: int) -> Result:
    return {
        "id": row.memory_id,
        "memory": row.text,
        "event": what,
        "version": version,
        **scope_result(row.scope),
    }


def _place(event: Event) -> Result:
    return {"at": event.recorded_at.isoformat(), "command_id": event.envelope.command_id}


def _related(event: Event) -> dict[str, list[RelationChange]]:
    found: dict[str, list[RelationChange]] = {}
    for change in event.body.relations:
        found.setdefault(change.memory_id, []).append(change)
    return found


def _relations(changed: Iterable[RelationChange]) -> Result:
    told = list(changed)
    return {
        "relations": [change_result(one) for one in told if one.op == "ASSERT"],
        "ended_relations": [change_result(one) for one in told if one.op == "RETRACT"],
    }


def _more(done: Operation) -> Result:
    """What a deleted memory's operation does not repeat."""
    return {} if done.op == "DELETE" else told_result(done.metadata, done.role)


def _row(
    event: Event, done: Operation, ordinal: int, relations: Iterable[RelationChange], known: Around | None
) -> MemoryRow:
    """The memory as the change leaves it; one that is gone, as it was."""
    looked_up = known and (known.before if done.op == "DELETE" else known.after)
    if looked_up:
        return looked_up
    said_at = done.said_at or event.recorded_at
    return MemoryRow(
        tenant=event.envelope.tenant,
        subject=event.envelope.subject,
        memory_id=done.memory_id,
        version=done.version,
        text=done.text,
        scope=done.scope,
        created_at=said_at,
        updated_at=said_at,
        valid_from=event.recorded_at,
        role=done.role,
        metadata=done.metadata,
        relations=[one for one in relations if one.op == "ASSERT"],
        kind=done.kind,
        pending=done.pending,
        when=done.when,
        added_offset=event.offset,
        ordinal=ordinal,
    )
