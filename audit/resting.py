"""What rests on commands that are to be taken back: found over the full log, told as a tree, and cut into events that undo it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from memfold.audit.asked_commands import Asked
from memfold.audit.bounds import Bounds
from memfold.audit.entries import log_entry
from memfold.audit.full_log import FullLog
from memfold.memory.compensation import Compensation, Step, compensation
from memfold.memory.noting import begin, end, note
from memfold.schemas.records import Event, RelationChange, TakenBack

Told = dict[str, Any]
AT_ONCE = 500
"""Memories that one event changes; more are done in parts, each memory whole."""


class Resting(NamedTuple):
    """Of one subject: what each event has to take back, in order, and the tree of what that will do."""

    subject: str
    parts: list[list[TakenBack]]
    tree: Told


def resting(log: FullLog, tenant: str, found: Sequence[Asked], actor: str = "") -> list[Resting]:
    """Subject by subject; where nothing is left to take back there is none. Raises TooMuchToOpen.

    With an `actor`, of a command that several spoke in only what came from the actor's messages.
    """
    told = []
    for subject in _subjects(log, tenant, found):
        events = _events(log, Bounds(tenant, subject=subject))
        taken = _taken(found, subject, events, actor)
        wanted = compensation(events, taken)
        if taken and not wanted.done:
            tree = _tree(log, wanted, events, taken)
            note(subject, [one["id"] for one in tree["memories"]])
            told.append(Resting(subject, _parts(wanted, events, taken), tree))
    return told


def _subjects(log: FullLog, tenant: str, found: Sequence[Asked]) -> list[str]:
    """Whose memories the commands are about: their subject's, or of everybody in the partition where the tenant was cleared."""
    subjects = {asked.envelope.subject: None for asked in found if not asked.for_whole_tenant()}
    for asked in found:
        if asked.for_whole_tenant():
            everybody = _events(log, Bounds(tenant, partition=asked.partition))
            subjects |= {event.envelope.subject: None for event in everybody if event.body.operations}
    return list(subjects)


def _events(log: FullLog, bounds: Bounds) -> list[Event]:
    # All that a subject has ever had is read; what is shown of it is what is given away.
    _, token = begin()
    try:
        return log.lives(bounds).events
    finally:
        end(token)


def _taken(found: Sequence[Asked], subject: str, events: Sequence[Event], actor: str) -> list[TakenBack]:
    """What is decided by now; a command that is not will be found when this is asked again."""
    by_command = {event.envelope.command_id: event for event in events}
    taken: list[TakenBack] = []
    for asked in found:
        event = by_command.get(asked.envelope.command_id)
        if event is None or (asked.envelope.subject != subject and not asked.for_whole_tenant()):
            continue
        if not actor or asked.by(actor):
            taken.append(TakenBack(asked.envelope.command_id))
            continue
        mine = [done.memory_id for done in event.body.operations if asked.speaks(done, event.body, actor)]
        taken += [TakenBack(asked.envelope.command_id, memory_id) for memory_id in dict.fromkeys(mine)]
    return taken


def _parts(
    wanted: Compensation, events: Sequence[Event], taken: Sequence[TakenBack]
) -> list[list[TakenBack]]:
    """One, unless too many memories change: then each memory is done whole by one of them, and the last names all that is left."""
    ids = [step.memory_id for step in wanted.steps]
    named = {
        event.envelope.command_id: None if event.body.clears else set(event.envelope.memory_ids)
        for event in events
    }
    parts = []
    for start in range(0, len(ids) - AT_ONCE, AT_ONCE):
        parts.append([
            TakenBack(one.command_id, memory_id)
            for memory_id in ids[start : start + AT_ONCE]
            for one in taken
            for touched in [named[one.command_id]]
            if one.memory_id in ("", memory_id) and (touched is None or memory_id in touched)
        ])  # fmt: skip
    return [*parts, list(taken)]


def _tree(log: FullLog, wanted: Compensation, events: Sequence[Event], taken: Sequence[TakenBack]) -> Told:
    """{who, commands: [{command_id, at, did, memories: [ids]}], memories: [{id, event, memory, becomes, relations, reviews}], reviews}.

    `reviews` of the tree are of memories that do not change.
    """
    named = {one.command_id for one in taken}
    told_of = named | {one.command_id for one in wanted.reviews}
    entries = {
        event.envelope.command_id: log_entry(event, log.directory)
        for event in events
        if event.envelope.command_id in told_of
    }
    commands = [
        {
            **{name: entry[name] for name in ("command_id", "at", "did", "reason")},
            "memories": entry["memory_ids"],
        }
        for command_id, entry in entries.items()
        if command_id in named
    ]
    reviews: dict[str, list[Told]] = {}
    for one in wanted.reviews:
        told = {
            "memory_id": one.memory_id,
            "command_id": one.command_id,
            "why": one.why,
            "did": entries[one.command_id]["did"],
        }
        reviews.setdefault(one.memory_id, []).append(told)
    memories = [_told(step, reviews.pop(step.memory_id, [])) for step in wanted.steps]
    return {
        "who": _who(log, events),
        "commands": commands,
        "memories": memories,
        "reviews": [one for left in reviews.values() for one in left],
    }


def _who(log: FullLog, events: Sequence[Event]) -> str | None:
    return next((log.directory.name_of(e.envelope.subject) for e in events if e.body.operations), None)


def _told(step: Step, reviews: list[Told]) -> Told:
    return {
        "id": step.memory_id,
        "event": step.op,
        "memory": step.now.done.text if step.now else None,
        "becomes": step.then.done.text if step.then else None,
        "relations": [_relation("END", one) for one in step.ends]
        + [_relation("BEGIN", one) for one in step.begins],
        "reviews": reviews,
    }


def _relation(event: str, one: RelationChange) -> Told:
    return {"event": event, "source": one.source, "relationship": one.relationship, "target": one.target}
