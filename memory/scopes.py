"""Scope ids: which are accepted, and whose data a scope is."""

from __future__ import annotations

import re

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.schemas.records import Scope

MAX_ID = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def checked_id(name: str, value: object) -> str | None:
    """The id as it is, or None. Raises InvalidType and InvalidInput, naming the argument."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidType(f"{name} must be a string, not {type(value).__name__}; pass str(...) of your id")
    if not value.strip():
        raise InvalidInput(f"{name} is blank; leave it out or pass an id")
    if len(value) > MAX_ID:
        raise InvalidInput(f"{name} has {len(value)} characters; an id has at most {MAX_ID}")
    if _CONTROL.search(value):
        raise InvalidInput(f"{name} {value!r} holds a control character or half a surrogate pair; remove it")
    if {".", ".."} & set(re.split(r"[/\\]", value)):
        raise InvalidInput(
            f"{name} {value!r} looks like a path; ids may not hold '.' or '..' between slashes"
        )
    return value


def id_text(value: object) -> object:
    """A whole number as text, for sources that number their users; anything else as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def checked_scope(
    user_id: object = None, agent_id: object = None, run_id: object = None, actor_id: object = None
) -> Scope:
    """A scope with at least one of the three ids that memories belong to. Raises InvalidInput, InvalidType."""
    scope = Scope(
        checked_id("user_id", user_id),
        checked_id("agent_id", agent_id),
        checked_id("run_id", run_id),
        checked_id("actor_id", actor_id),
    )
    if scope.user_id is None and scope.agent_id is None and scope.run_id is None:
        raise InvalidInput("whose memories? Pass at least one of user_id, agent_id and run_id")
    return scope


def owner_of(scope: Scope) -> tuple[str, str]:
    """(kind, id) of the subject that a scope's new memories belong to: the user if there is one, else the agent, else the run."""
    for kind, name in (("user", scope.user_id), ("agent", scope.agent_id), ("run", scope.run_id)):
        if name is not None:
            return kind, name
    raise InvalidInput("whose memories? Pass at least one of user_id, agent_id and run_id")
