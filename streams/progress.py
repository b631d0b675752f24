"""How far a processor has come in each partition, for those who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Progress:
    """Offsets that only grow; waiting costs nothing until the offset comes."""

    def __init__(self) -> None:
        self.offsets: dict[int, int] = {}
        self._waiting: dict[int, list[tuple[int, asyncio.Future[None]]]] = {}
        self._leaving: dict[int, set[asyncio.Future[None]]] = {}

    def advance(self, partition: int, offset: int) -> None:
        self.offsets[partition] = offset
        still: list[tuple[int, asyncio.Future[None]]] = []
        for wanted, future in self._waiting.pop(partition, []):
            if wanted > offset:
                still.append((wanted, future))
            elif not future.done():
                future.set_result(None)
        if still:
            self._waiting[partition] = still

    async def reach(self, partition: int, offset: int, timeout: float) -> bool:
        """Whether the partition comes to `offset` within `timeout` seconds."""
        if self.offsets.get(partition, -1) >= offset:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(partition, []).append((offset, future))
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            return False
        return True

    def leave(self, partition: int) -> None:
        """The partition is another process's now: it is not told of any more, and who waits for it here is let go."""
        self.offsets.pop(partition, None)
        for future in self._leaving.pop(partition, set()):
            if not future.done():
                future.set_result(None)

    async def while_owned(self, partition: int, waiting: Coroutine[Any, Any, T]) -> T | None:
        """What `waiting` gives; None as soon as the partition leaves, for then it may never come."""
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving.setdefault(partition, set()).add(left)
        task = asyncio.ensure_future(waiting)
        try:
            both: list[asyncio.Future[Any]] = [task, left]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            self._leaving.get(partition, set()).discard(left)
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
