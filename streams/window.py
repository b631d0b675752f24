"""A bounded sliding window over work that comes in order: subjects at the same time, one subject's work in turn, results in order.

What is promised: results are delivered in the order of admission, as soon as the first one is there, together with all that
are ready behind it; no two works of one subject run at once; at most `limit.works` are admitted and not yet delivered, and at
most `limit.size` of them unless one alone is larger; a work that is admitted alone shares the window with no other.

What is not: that a slow subject holds nobody up. Order is order, so a result waits for all before it. It never waits for
what was admitted after it, and its own work begins no later than when the works before it leave it a place in the window.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Work = Callable[[], Coroutine[Any, Any, T]]


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be in the window: works, and the sum of their sizes in bytes."""

    works: int = 256
    size: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class _Place(Generic[T]):
    """One work in the window; its task ends with the result."""

    subject: Hashable
    size: int
    task: asyncio.Task[T]


class Window(Generic[T]):
    """Runs works for one caller at a time, and hands their results to `deliver`, one call at a time.

    Whatever a work or `deliver` raises ends the window: what runs is cancelled, `failed` is told at once, nothing is delivered
    any more, and whoever waits to admit gets the same error.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[T]], Awaitable[None]],
        failed: Callable[[BaseException], None],
        limit: Limit | None = None,
    ) -> None:
        self._deliver, self._failed, self._limit = deliver, failed, limit or Limit()
        self._places: deque[_Place[T]] = deque()
        self._size = 0
        self._last: dict[Hashable, _Place[T]] = {}
        self._failure: BaseException | None = None
        self._closing = False
        self._came, self._left = asyncio.Event(), asyncio.Event()
        self._delivering = asyncio.Lock()
        self._deliverer = asyncio.create_task(self._deliver_in_order())
        self._deliverer.add_done_callback(self._ended)

    async def admit(self, subject: Hashable, size: int, work: Work[T]) -> None:
        """Give the work a place; waits while the window is full. It runs after the earlier works of its subject."""
        await self._until(lambda: self._fits(size))
        before = self._last.get(subject)
        task = asyncio.create_task(_after(before.task if before else None, work))
        task.add_done_callback(self._ended)
        place = self._last[subject] = _Place(subject, size, task)
        self._places.append(place)
        self._size += size
        self._came.set()

    async def admit_alone(self, subject: Hashable, size: int, work: Work[T]) -> None:
        """A barrier: waits until all before it are delivered, and returns when it is delivered itself."""
        await self._until(lambda: not self._places)
        await self.admit(subject, size, work)
        await self._until(lambda: not self._places)

    def _fits(self, size: int) -> bool:
        limit = self._limit
        return not self._places or (len(self._places) < limit.works and self._size + size <= limit.size)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while self._failure is None and not holds():
            self._left.clear()
            await self._left.wait()
        if self._failure is not None:
            raise self._failure

    async def _deliver_in_order(self) -> None:
        while True:
            while not self._places:
                self._came.clear()
                await self._came.wait()
            await asyncio.wait([self._places[0].task])
            if self._failure is not None:
                return
            async with self._delivering:
                ready = list(takewhile(lambda place: place.task.done(), self._places))
                await self._deliver([place.task.result() for place in ready])
                for place in ready:
                    self._leave(place)

    def _leave(self, place: _Place[T]) -> None:
        self._places.popleft()
        self._size -= place.size
        if self._last[place.subject] is place:
            del self._last[place.subject]
        self._left.set()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Of a work or of the deliverer. One that somebody else cancelled would never be delivered: that fails too."""
        if task.cancelled():
            failure: BaseException | None = RuntimeError(f"{task.get_name()} was cancelled from outside")
        else:
            failure = task.exception()
        if failure is None or self._closing or self._failure is not None:
            return
        self._failure = failure
        for place in self._places:
            place.task.cancel()
        self._left.set()
        self._failed(failure)

    async def close(self) -> None:
        """Cancel what runs and wait until it has ended. A delivery that has begun is let finish: it cannot be taken back."""
        self._closing = True
        async with self._delivering:
            tasks: list[asyncio.Task[Any]] = [self._deliverer, *(place.task for place in self._places)]
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)


async def _after(before: asyncio.Task[T] | None, work: Work[T]) -> T:
    if before is not None:
        await asyncio.wait([before])
    return await work()
