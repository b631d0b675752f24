"""Audit: AsyncAudit for callers without an event loop. Nothing is written twice: each verb is the async one, waited for."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from memfold.audit.face import AsyncAudit, Told

P = ParamSpec("P")
R = TypeVar("R")


class Wait(Protocol):
    """Runs a coroutine where the connections live, and waits for it."""

    def __call__(self, call: Coroutine[Any, Any, R], /) -> R: ...


def _waited_for(
    verb: Callable[Concatenate[AsyncAudit, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Audit, P], R]:
    def call(self: Audit, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._wait(verb(self._audit, *args, **kwargs))

    functools.update_wrapper(call, verb)
    return call


class Audit:
    """Questions to the full log; see AsyncAudit."""

    def __init__(self, audit: AsyncAudit, wait: Wait) -> None:
        self._audit, self._wait = audit, wait

    sql = _waited_for(AsyncAudit.sql)
    blame = _waited_for(AsyncAudit.blame)
    diff = _waited_for(AsyncAudit.diff)
    timeline = _waited_for(AsyncAudit.timeline)
    as_of = _waited_for(AsyncAudit.as_of)
    memories_as_of = _waited_for(AsyncAudit.memories_as_of)
    log = _waited_for(AsyncAudit.log)
    show = _waited_for(AsyncAudit.show)
    bundle = _waited_for(AsyncAudit.bundle)
    report = _waited_for(AsyncAudit.report)
    reads = _waited_for(AsyncAudit.reads)

    def follow(self, *, user_id: str | None = None, after: Mapping[int, int] | None = None) -> Iterator[Told]:
        """Events as they come; see AsyncAudit.follow."""
        coming: AsyncIterator[Told] = self._audit.follow(user_id=user_id, after=after)
        while True:
            yield self._wait(_next(coming))


async def _next(coming: AsyncIterator[Told]) -> Told:
    return await anext(coming)
