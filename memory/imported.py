"""A memory as it is brought from elsewhere, checked and brought to one shape: the lines of JSONL, and what Mem0 is read as.

{id, user_id, agent_id, run_id, versions: [{event, memory, at, actor_id, role, metadata, kind, when, pending}], relations: [...]}, or for
a memory without a history {id, user_id, ..., memory, created_at, role, metadata}, which is what Mem0's get_all gives.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.importing import flaw_of
from memfold.memory.messages import MAX_TEXT, ROLES, checked_metadata, checked_text, checked_time
from memfold.memory.scopes import checked_id, checked_scope, id_text
from memfold.memory.writing import checked_memory_id
from memfold.schemas.records import ImportedVersion, ImportRequested, RelationChange, Scope

MOST_BYTES = 8 * MAX_TEXT
"""Of one memory's texts and metadata: with its event, which says each text twice, a record stays below the log's largest."""
_SCOPE = {"user_id", "agent_id", "run_id", "actor_id"}
_SHORT = {"memory", "created_at", "updated_at", "role", "metadata", "kind", "when", "pending"}
_WHOLE = {"versions", "relations"}
_UNUSED = {"hash", "version", "score", "event"}
"""Of what get_all and search give beside: it follows from the rest."""
_VERSION = {"event", "memory", "at", "actor_id", "role", "metadata", "kind", "when", "pending"}
_RELATION = {
    "source", "source_type", "relationship", "target", "target_type", "confidence", "said_as", "source_entity", "target_entity",
    "source_which", "target_which", "valid_from",
}  # fmt: skip
_NAMESPACE = uuid.UUID("6d656d66-6f6c-5d00-8000-696d706f7274")


@dataclass(frozen=True, slots=True)
class Imported:
    """A checked memory and the key under which it counts once, however often it is brought."""

    command: ImportRequested
    key: str

    @property
    def text(self) -> str:
        """What it says in the end."""
        return self.command.versions[-1].text


def checked_import(memory: object, source: str, whose: Scope | None = None) -> Imported:
    """One memory to take in; `whose` where it names nobody itself. Raises InvalidInput, InvalidType, saying what is wrong with it."""
    if not isinstance(memory, Mapping):
        raise InvalidType(f"a memory must be a JSON object, not {type(memory).__name__}")
    _only(memory, {"id", *_SCOPE, *_SHORT, *_WHOLE, *_UNUSED}, "a memory")
    scope = _scope(memory, whose)
    versions = _versions(memory)
    if flaw := flaw_of(versions):
        raise InvalidInput(flaw)
    size = sum(len(one.text.encode()) + len(one.metadata.encode()) for one in versions)
    if size > MOST_BYTES:
        raise InvalidInput(f"its history has {size} bytes; at most {MOST_BYTES} come in as one memory")
    memory_id = _memory_id(memory, source)
    relations = [_relation(one, number, memory_id) for number, one in enumerate(_list(memory, "relations"))]
    return Imported(ImportRequested(memory_id, source, scope, versions, relations), f"{source}/{memory_id}")


def _scope(memory: Mapping[str, Any], whose: Scope | None) -> Scope:
    given = {name: id_text(value) for name in _SCOPE if (value := memory.get(name)) is not None}
    if whose is not None and not given.keys() & {"user_id", "agent_id", "run_id"}:
        return Scope(
            whose.user_id, whose.agent_id, whose.run_id, checked_id("actor_id", given.get("actor_id"))
        )
    if not given.keys() & {"user_id", "agent_id", "run_id"}:
        raise InvalidInput(
            "it does not say whose it is; give the user_id, agent_id or run_id of such memories: --user ID"
        )
    return checked_scope(**given)


def _memory_id(memory: Mapping[str, Any], source: str) -> str:
    if memory.get("id") is not None:
        return checked_memory_id(memory["id"])
    # The same line gives the same id, so that it counts once.
    line = json.dumps(dict(memory), sort_keys=True, ensure_ascii=False, default=str)
    return str(uuid.uuid5(_NAMESPACE, f"{source}/{hashlib.sha256(line.encode()).hexdigest()}"))


def _versions(memory: Mapping[str, Any]) -> list[ImportedVersion]:
    if "versions" in memory:
        beside = sorted(_SHORT & memory.keys())
        if beside:
            raise InvalidInput(f"it has versions and {beside[0]!r} beside them; put that into the versions")
        return [_version(one, number) for number, one in enumerate(_list(memory, "versions"), 1)]
    # What it said before its last change is not known, and not made up: it begins with what it says.
    short = {name: memory[name] for name in _SHORT - {"created_at", "updated_at"} if name in memory}
    at = memory.get("created_at") or memory.get("updated_at")
    return [_version({**short, "event": "ADD", "at": at}, 1)]


def _version(given: object, number: int) -> ImportedVersion:
    where = f"version {number}"
    if not isinstance(given, Mapping):
        raise InvalidType(f"{where} must be a JSON object, not {type(given).__name__}")
    _only(given, _VERSION, where)
    role, pending = given.get("role"), given.get("pending", False)
    if role is not None and role not in ROLES:
        raise InvalidInput(f"{where} has the role {role!r}; known are {', '.join(ROLES)}")
    if not isinstance(pending, bool):
        raise InvalidType(f"{where} has pending {pending!r}, which must be true or false")
    return ImportedVersion(
        op=_told(given, "event", where),
        text=checked_text(f"{where}: memory", given.get("memory")),
        at=checked_time(given.get("at"), f"{where}: at"),
        actor_id=checked_id(f"{where}: actor_id", given.get("actor_id")),
        role=role,
        metadata=checked_metadata(given.get("metadata")),
        kind=_told(given, "kind", where),
        when=_told(given, "when", where),
        pending=pending,
    )


def _relation(given: object, number: int, memory_id: str) -> RelationChange:
    where = f"relation {number}"
    if not isinstance(given, Mapping):
        raise InvalidType(f"{where} must be a JSON object, not {type(given).__name__}")
    _only(given, _RELATION, where)
    ends = {
        name: checked_text(f"{where}: {name}", given.get(name))
        for name in ("source", "relationship", "target")
    }
    confidence = given.get("confidence", 1.0)
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise InvalidInput(f"{where} has the confidence {confidence!r}; it lies between 0 and 1")
    texts = {
        name: _told(given, name, where)
        for name in _RELATION - ends.keys() - {"confidence", "valid_from"}
        if name in given
    }
    since = checked_time(given.get("valid_from"), f"{where}: valid_from")
    told: dict[str, Any] = {**ends, **texts, "confidence": float(confidence), "valid_from": since}
    return RelationChange("ASSERT", "", memory_id, **told)


def _told(given: Mapping[str, Any], name: str, where: str) -> str:
    value = given.get(name, "")
    if not value:
        return ""
    return checked_text(f"{where}: {name}", value)


def _list(memory: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = memory.get(name, [])
    if not isinstance(found, list | tuple):
        raise InvalidType(f"{name} must be a list, not {type(found).__name__}")
    return found


def _only(given: Mapping[str, Any], known: set[str], what: str) -> None:
    """A field that is not known would be lost in silence."""
    unknown = sorted(str(name) for name in given if name not in known)
    if unknown:
        raise InvalidInput(
            f"{what} has {unknown[0]!r}, which is not imported; known are {', '.join(sorted(known))}"
        )
