"""Watch: AsyncWatch for callers without an event loop. Nothing is written twice: each change is the async one, waited for."""

from __future__ import annotations

from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from memfold.memory.results import Result
from memfold.memory.watch import AsyncWatch

R = TypeVar("R")


class Wait(Protocol):
    """Runs a coroutine where the connections live, and waits for it."""

    def __call__(self, call: Coroutine[Any, Any, R], /) -> R: ...


class Watch:
    """The changes of one scope, see AsyncWatch. It begins when it is made. Another thread may close it."""

    def __init__(self, watch: AsyncWatch, wait: Wait) -> None:
        self._watch, self._wait = watch, wait
        wait(watch.open())

    @property
    def position(self) -> str | None:
        """Where it goes on: after the last change that was given."""
        return self._watch.position

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Result:
        """The next change, as soon as there is one. Raises as AsyncWatch does; StopIteration once it is closed."""
        change = self._wait(_next(self._watch))
        if change is None:
            raise StopIteration
        return change

    def close(self) -> None:
        """Whoever waits for a change is told that there is none any more."""
        self._wait(self._watch.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _next(watch: AsyncWatch) -> Result | None:
    """None at the end: no future carries a StopIteration."""
    return await anext(watch, None)
