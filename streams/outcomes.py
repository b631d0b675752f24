"""What became of recent commands, for callers that wait: by command id, with the event's exact bytes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

KEPT_BYTES = 32 * 1024 * 1024

Outcome = tuple[int, bytes]
"""Offset and value of the event that answered a command."""


class Outcomes:
    """A window over the newest events. Does not promise to know older ones: those stand in the ledger and the log."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept: OrderedDict[str, Outcome] = OrderedDict()
        self._room = kept_bytes
        self._waiting: dict[str, list[asyncio.Future[Outcome]]] = {}

    def settle(self, command_id: str, offset: int, value: bytes) -> None:
        """An event stands in the log: remember it and wake those who wait for it."""
        self._kept[command_id] = (offset, value)
        self._room -= len(value)
        while self._room < 0 and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._room += len(dropped)
        for future in self._waiting.pop(command_id, []):
            if not future.done():
                future.set_result((offset, value))

    def known(self, command_id: str) -> Outcome | None:
        return self._kept.get(command_id)

    async def wait(self, command_id: str, timeout: float) -> Outcome | None:
        """The outcome, or None when it does not come within `timeout` seconds."""
        known = self._kept.get(command_id)
        if known is not None:
            return known
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(command_id, []).append(future)
        try:
            return await asyncio.wait_for(future, timeout)
        except TimeoutError:
            waiting = self._waiting.get(command_id, [])
            if future in waiting:
                waiting.remove(future)
            return None
