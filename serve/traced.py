"""What makes a verb a span. One line on each verb whose way through the log is worth seeing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from memfold.serve.tracing import Tracing

P = ParamSpec("P")
R = TypeVar("R")


class HasTracing(Protocol):
    @property
    def _tracing(self) -> Tracing: ...


S = TypeVar("S", bound=HasTracing)
Verb = Callable[Concatenate[S, P], Coroutine[Any, Any, R]]


def traced(call: Verb[S, P, R]) -> Verb[S, P, R]:
    """The verb, as a span of its name where traces are on."""

    @wraps(call)
    async def spanned(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        traces = self._tracing.traces()
        if traces is None:
            return await call(self, *args, **kwargs)
        with traces.verb(call.__name__):
            return await call(self, *args, **kwargs)

    return spanned
