"""How far a processor has come in each partition, for those who wait for it."""

from __future__ import annotations

import asyncio


class Progress:
    """Offsets that only grow; waiting costs nothing until the offset comes."""

    def __init__(self) -> None:
        self.offsets: dict[int, int] = {}
        self._waiting: dict[int, list[tuple[int, asyncio.Future[None]]]] = {}

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
