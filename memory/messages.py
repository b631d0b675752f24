"""What callers hand in, checked and brought to one shape before anything is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.schemas.records import Item, Message

ROLES = ("user", "assistant", "system", "tool")
MAX_TEXT = 256 * 1024
MAX_METADATA = 64 * 1024
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")

Messages = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


def checked_text(name: str, value: object) -> str:
    """A text that can be kept and given back unchanged. Raises InvalidInput, InvalidType."""
    if not isinstance(value, str):
        raise InvalidType(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise InvalidInput(f"{name} is blank; there is nothing to remember")
    bad = _UNSTORABLE.search(value)
    if bad:
        raise InvalidInput(
            f"{name} holds {bad[0]!r} at character {bad.start()}, which no store can keep; remove it"
        )
    size = len(value.encode())
    if size > MAX_TEXT:
        raise InvalidInput(
            f"{name} has {size} bytes; at most {MAX_TEXT} are kept as one message, so split it"
        )
    return value


def checked_metadata(metadata: object) -> str:
    """Metadata as a JSON object. Raises InvalidInput, InvalidType."""
    if metadata is None:
        return "{}"
    if not isinstance(metadata, Mapping) or not all(isinstance(key, str) for key in metadata):
        raise InvalidType(f"metadata must be a dict with string keys, not {metadata!r:.80}")
    try:
        text = json.dumps(
            dict(metadata), allow_nan=False, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
    except (ValueError, TypeError, RecursionError) as wrong:
        raise InvalidInput(
            f"metadata cannot be written as JSON: {wrong}; NaN and own types have no JSON form"
        ) from None
    if _UNSTORABLE.search(text):
        raise InvalidInput("metadata holds half a surrogate pair or NUL; remove it")
    if len(text.encode()) > MAX_METADATA:
        raise InvalidInput(
            f"metadata has {len(text.encode())} bytes as JSON; at most {MAX_METADATA} are kept"
        )
    return text


def checked_time(timestamp: object, name: str = "timestamp") -> datetime | None:
    """An aware UTC time from a datetime, ISO 8601 text or Unix seconds; None stays None. Raises InvalidInput, InvalidType."""
    if timestamp is None:
        return None
    try:
        if isinstance(timestamp, str):
            timestamp = datetime.fromisoformat(timestamp)
        elif isinstance(timestamp, int | float) and not isinstance(timestamp, bool):
            timestamp = datetime.fromtimestamp(timestamp, UTC)
        if isinstance(timestamp, datetime):
            # A time without a zone is read as UTC: guessing the server's zone would make the log depend on where it ran.
            return timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as wrong:
        raise InvalidInput(
            f"{name} {timestamp!r} is no time: {wrong}; use ISO 8601 or Unix seconds"
        ) from None
    raise InvalidType(f"{name} must be a datetime, ISO 8601 text or Unix seconds, not {timestamp!r}")


def _message(value: object, where: str) -> Message:
    if isinstance(value, str):
        return Message("user", checked_text(where, value))
    if not isinstance(value, Mapping):
        raise InvalidType(f"{where} must be text or a dict with role and content, not {type(value).__name__}")
    role = value.get("role", "user")
    if role not in ROLES:
        raise InvalidInput(f"{where} has the role {role!r}; known are {', '.join(ROLES)}")
    name = value.get("name")
    if name is not None:
        name = checked_text(f"{where}.name", name)
    return Message(role, checked_text(f"{where}.content", value.get("content")), name)


def checked_item(messages: object, metadata: object = None, timestamp: object = None) -> Item:
    """One thing to remember: text, a chat message or a list of them. Raises InvalidInput, InvalidType."""
    if isinstance(messages, str | Mapping):
        messages = [messages]
    if not isinstance(messages, Sequence) or isinstance(messages, bytes):
        raise InvalidType(f"messages must be text, a dict or a list of them, not {type(messages).__name__}")
    if not messages:
        raise InvalidInput("messages is empty; there is nothing to remember")
    checked = [_message(value, f"messages[{number}]") for number, value in enumerate(messages)]
    return Item(checked, checked_metadata(metadata), checked_time(timestamp))
