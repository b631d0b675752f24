"""Whose memories an answer gives, noted where they come out of an index, a graph or the log while a verb is being answered."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar, Token


class Noted:
    """The memories that came out, by subject; under None those whose subject is not known there."""

    def __init__(self) -> None:
        self.memory_ids: dict[str | None, set[str]] = {}


_going_on: ContextVar[Noted | None] = ContextVar("memfold_noted", default=None)


def begin() -> tuple[Noted, Token[Noted | None]]:
    """From here on what comes out in this task, and in threads that it waits for, is noted."""
    noted = Noted()
    return noted, _going_on.set(noted)


def end(token: Token[Noted | None]) -> None:
    _going_on.reset(token)


def going_on() -> bool:
    """Whether what comes out is noted: of many at once only then it is worth listing."""
    return _going_on.get() is not None


def note(subject: str | None, memory_ids: Iterable[str] = ()) -> None:
    """Memories of a subject come out; with no ids, only that they were asked for. Does nothing while no verb is recorded."""
    noted = _going_on.get()
    if noted is not None:
        noted.memory_ids.setdefault(subject, set()).update(memory_ids)
