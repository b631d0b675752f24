"""One thing said elsewhere, as it is taken in: whose it is, what was said, and the key under which it counts once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.messages import checked_item
from memfold.memory.scopes import checked_id, checked_scope, id_text
from memfold.schemas.records import Item, Scope

IDS = ("user_id", "agent_id", "run_id", "actor_id")


@dataclass(frozen=True, slots=True)
class Said:
    """A checked record of a source. `key` is its idempotency key: the command's id follows from it and from whose it is."""

    scope: Scope
    item: Item
    key: str


def checked_said(found: Mapping[str, Any], key: str) -> Said:
    """What was found in a record under memfold's own names: ids, messages, or text, role and name, then metadata and time.

    Raises InvalidInput, InvalidType, saying what is wrong with it.
    """
    ids = {name: id_text(found.get(name)) for name in IDS}
    if all(ids[name] is None for name in IDS[:3]):
        raise InvalidInput("it does not say whose it is: no user_id, agent_id or run_id is in it")
    return Said(
        checked_scope(**ids), checked_item(_messages(found), found.get("metadata"), found.get("time")), key
    )


def _messages(found: Mapping[str, Any]) -> Sequence[Any]:
    messages = found.get("messages")
    if messages is not None:
        if not isinstance(messages, list):
            raise InvalidType(f"messages must be a list, not {type(messages).__name__}")
        return messages
    if found.get("text") is None:
        raise InvalidInput("it has no text")
    message = {"role": found.get("role") or "user", "content": found["text"]}
    return [message if found.get("name") is None else {**message, "name": found["name"]}]


def key_of_record(source: str, kind: Literal["key", "at"], value: str) -> str:
    """The idempotency key of a source's record: from the key that it brings, or from the place where it stands.

    The source's name is in it: two systems that both number from 1 do not take each other's messages for repetitions.
    """
    return json.dumps(["ingest", source, kind, value], ensure_ascii=False)


def brought_key(value: object) -> str:
    """The key that a record brings, as text. Raises InvalidInput, InvalidType."""
    key = checked_id("idempotency_key", id_text(value))
    if key is None:
        raise InvalidInput("it has no idempotency_key, and the mapping says that every record has one")
    return key
