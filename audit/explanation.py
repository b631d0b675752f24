"""Why a memory says what it says: each version with the message, the fact, the decision and the model calls behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from memfold.audit.versions import Entry, versions
from memfold.schemas.records import (
    AddRequested,
    Command,
    Event,
    Item,
    MemoriesDecided,
    Message,
    Operation,
    RetryRequested,
)

Explanation = dict[str, Any]


def explanation(
    events: Sequence[Event], commands: Mapping[str, Command | None], memory_id: str
) -> Explanation:
    """{id, memory: what it says now or None, versions}. `events` as HistoryLog gives them, `commands` by id.

    A version holds what `versions` says of it, and: said (the messages of the item that it comes from, the one that holds the
    fact marked), fact, decision, relations (that this event asserted or retracted on its evidence) and calls. The messages are
    None where the command cannot be opened any more or brought none; a version written by hand has no fact.
    """
    entries = versions(events, memory_id)
    by_id = {event.envelope.record_id: event for event in events}
    told = [
        _version(entry, by_id[entry["event_id"]], commands.get(entry["command_id"]), memory_id)
        for entry in entries
    ]
    return {
        "id": memory_id,
        "memory": entries[-1]["new_memory"] if entries else None,
        "versions": told,
    }


def _version(entry: Entry, event: Event, command: Command | None, memory_id: str) -> Explanation:
    body = event.body
    done = next(
        (one for one in body.operations if one.memory_id == memory_id and one.op == entry["event"]), None
    )
    return {
        **{name: entry[name] for name in ("version", "event", "old_memory", "new_memory", "command_id")},
        "at": event.recorded_at.isoformat(),
        "said": None if done is None else _said(done, body, command),
        "fact": None if done is None else _fact(done, body),
        "decision": {"outcome": body.outcome, "reason": body.reason or entry["reason"]},
        "relations": [_json(change) for change in body.relations if change.memory_id == memory_id],
        "calls": [_json(call) for call in body.calls],
        "place": {
            "event_id": event.envelope.record_id,
            "partition": event.partition,
            "offset": event.offset,
            "command_offset": event.envelope.command_offset,
        },
    }


def _said(done: Operation, body: MemoriesDecided, command: Command | None) -> list[Explanation] | None:
    if isinstance(command, RetryRequested):
        # What is decided again is the pending memory itself: its text was the message.
        item: Item | None = Item(
            [Message(done.role or "user", done.previous_text or "", done.scope.actor_id)]
        )
    else:
        item = command.items[done.item] if isinstance(command, AddRequested) else None
    if item is None:
        return None
    marked = body.facts[done.fact].message if 0 <= done.fact < len(body.facts) else None
    return [
        {
            "role": message.role,
            "name": message.name,
            "content": message.content,
            "said_at": None if item.said_at is None else item.said_at.isoformat(),
            "holds_the_fact": number == marked,
        }
        for number, message in enumerate(item.messages)
    ]


def _fact(done: Operation, body: MemoriesDecided) -> Explanation | None:
    return _json(body.facts[done.fact]) if 0 <= done.fact < len(body.facts) else None


def _json(struct: msgspec.Struct) -> Explanation:
    """All fields, also those that stand at their defaults."""
    fields = msgspec.structs.asdict(struct)
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()
    }
