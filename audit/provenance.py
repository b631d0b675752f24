"""blame: which event, decision, model call and message each part of a memory's present content comes from.

As in git: of what is there now, what touched it last. The text is one part; each relation that rests on the memory is another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memfold.audit.explanation import Explanation, explanation
from memfold.audit.relation_fold import relation_fold
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.schemas.records import Command, Event


def blame(events: Sequence[Event], commands: Mapping[str, Command | None], memory_id: str) -> dict[str, Any]:
    """{id, memory, parts}: of each part what it is (text or relation), its value, and the chain that it comes from.

    Takes what `explanation` takes. A part without an event of its own that can be read is left out.
    """
    told = explanation(events, commands, memory_id)
    by_event: dict[str, Explanation] = {version["place"]["event_id"]: version for version in told["versions"]}
    parts: list[dict[str, Any]] = []
    if told["versions"]:
        last = told["versions"][-1]
        parts.append({"part": "text", "value": told["memory"], **_chain(last)})
    held = [one.assertion for one in relation_fold(events) if one.ended_at is None]
    for assertion in held:
        version = by_event.get(assertion.event_id)
        if assertion.memory_id == memory_id and version is not None:
            value = f"{assertion.source} {assertion.relationship} {assertion.target}"
            parts.append({"part": "relation", "value": value, **_chain(version)})
    return {"id": memory_id, "memory": told["memory"], "parts": parts}


def _chain(version: Explanation) -> dict[str, Any]:
    place = version["place"]
    event = {
        "topic": EVENTS,
        "partition": place["partition"],
        "offset": place["offset"],
        "event_id": place["event_id"],
    }
    command = {
        "topic": COMMANDS,
        "partition": place["partition"],
        "offset": place["command_offset"],
        "command_id": version["command_id"],
    }
    return {
        "message": {"said": version["said"], "at": command},
        "model_calls": [{**call, "at": event} for call in version["calls"]],
        "decision": {**version["decision"], "fact": version["fact"], "at": event},
        "version": {
            **{name: version[name] for name in ("version", "event", "old_memory", "new_memory")},
            "recorded_at": version["at"],
            "at": event,
        },
    }
