"""What makes a verb a recorded read. One line on each verb that gives memories away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sized
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from memfold.memory.reads import Asked, Reads

P = ParamSpec("P")
R = TypeVar("R")


class HasReads(Protocol):
    @property
    def reads(self) -> Reads: ...


class Reading(Protocol):
    """What has verbs: it connects when it is first asked."""

    def _ready(self) -> Awaitable[HasReads]: ...


S = TypeVar("S", bound=Reading)
Verb = Callable[Concatenate[S, P], Coroutine[Any, Any, R]]

_PARTS = ("results", "relations", "versions", "parts", "tree")
_DIFFERENCES = ("added", "changed", "gone", "relations_begun", "relations_ended")


def recorded(
    verb: str, query: str = "", as_of: str = "as_of", *, quiet: bool = False
) -> Callable[[Verb[S, P, R]], Verb[S, P, R]]:
    """The verb, recorded as `verb`. `query` and `as_of` name the arguments with what is asked for and with the moment.

    `quiet`: not recorded when nothing came out. ReadDenied and ReadNotRecorded to what the verb raises.
    """

    def decorate(call: Verb[S, P, R]) -> Verb[S, P, R]:
        names = list(signature(call).parameters)[1:]

        def asked(args: tuple[object, ...], given: Mapping[str, object]) -> Asked:
            arguments = {**dict(zip(names, args, strict=False)), **given}
            ids = tuple(map(arguments.get, ("user_id", "agent_id", "run_id")))
            return Asked(verb, arguments.get(query), ids, arguments.get(as_of))

        @wraps(call)
        async def answered(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            reads = (await self._ready()).reads
            async with reads.going_on(asked(args, kwargs)) as going:
                going.quiet = quiet
                reads.admit()
                answer = await call(self, *args, **kwargs)
                going.count = count_of(answer)
            return answer

        return answered

    return decorate


def count_of(answer: object) -> int:
    """How many things an answer holds: memories, relations, versions, rows; 1 for one that is a thing itself."""
    if answer is None:
        return 0
    if isinstance(answer, str):
        return 1
    if isinstance(answer, tuple):
        return count_of(answer[0])
    if isinstance(answer, Mapping):
        return _count_in(answer)
    return len(answer) if isinstance(answer, Sized) else 1


def _count_in(answer: Mapping[str, Any]) -> int:
    found = next((answer[part] for part in _PARTS if part in answer), None)
    if isinstance(found, Mapping):
        return len(found["bindings"])
    if isinstance(found, list):
        return len(found)
    return sum(len(answer[part]) for part in _DIFFERENCES) if "added" in answer else 1
