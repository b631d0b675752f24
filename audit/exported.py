"""Memories with their whole history, in the shape that an import takes: what the full log knows of them, told without its places."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from memfold.audit.relation_fold import Asserted
from memfold.audit.version_fold import Version
from memfold.schemas.records import Scope

Told = dict[str, Any]
_IDS = ("user_id", "agent_id", "run_id")
_RELATION = (
    "source", "source_type", "relationship", "target", "target_type", "confidence", "said_as", "source_entity", "target_entity",
    "source_which", "target_which",
)  # fmt: skip


def exported(versions: Iterable[Version], relations: Iterable[Asserted], scope: Scope) -> list[Told]:
    """One dict a memory inside the scope, in the order in which they came, those that were deleted included.

    A memory whose beginning cannot be read is left out: no projection shows it either.
    """
    lives: dict[str, list[Version]] = defaultdict(list)
    for version in versions:
        lives[version.memory_id].append(version)
    held: dict[str, list[Asserted]] = defaultdict(list)
    for one in relations:
        if one.ended_at is None:
            held[one.assertion.memory_id].append(one)
    return [
        _memory(memory_id, life, held[memory_id])
        for memory_id, life in lives.items()
        if life[0].begun and scope.covers(life[0].scope)
    ]


def _memory(memory_id: str, life: Sequence[Version], held: Sequence[Asserted]) -> Told:
    ids = {name: value for name in _IDS if (value := getattr(life[0].scope, name)) is not None}
    told: Told = {
        "id": memory_id,
        **ids,
        "versions": [_version(one, number) for number, one in enumerate(life)],
    }
    if held and life[-1].text is not None:
        told["relations"] = [_relation(one) for one in held]
    return told


def _version(version: Version, number: int) -> Told:
    """What stands at its default is left out."""
    said, deleted = version.said, version.op == "DELETE"
    # As the vector projection has it: when it was said, else when it was learnt.
    at = version.happened_at if deleted else said.said_at
    told = {
        "event": "ADD" if number == 0 else "DELETE" if deleted else "UPDATE",
        "memory": version.previous if version.text is None else version.text,
        "at": (at or version.event.recorded_at).isoformat(),
        "actor_id": version.actor_id,
        "role": said.role,
        "metadata": json.loads(said.metadata),
        "kind": "" if deleted else said.kind,
        "when": "" if deleted else said.when,
        "pending": said.pending and version.current(),
    }
    return {name: value for name, value in told.items() if value}


def _relation(one: Asserted) -> Told:
    assertion = one.assertion
    told = {name: getattr(assertion, name) for name in _RELATION}
    told["valid_from"] = None if assertion.valid_from is None else assertion.valid_from.isoformat()
    return {name: value for name, value in told.items() if value not in ("", None)}
