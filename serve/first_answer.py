"""Asking several workers of which one owns the answer: in turn, and beside each other when one takes its time.

A worker that is asked for a partition of another says so at once. One that is stopped, or stands in a long wait that is the
right one, says nothing: after NEXT seconds the next is asked too, and whoever answers first is heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp

NEXT = 1.0


async def first_answer(requests: Sequence[Callable[[], Awaitable[Any]]]) -> Any:
    """The first answer that is not None; None when all have none, or went away. Other errors are raised."""
    waiting, running = list(requests), set[asyncio.Future[Any]]()
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop(0)()))
            done, running = await asyncio.wait(
                running, timeout=NEXT if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                try:
                    answer = one.result()
                except (aiohttp.ClientError, TimeoutError):
                    continue
                if answer is not None:
                    return answer
        return None
    finally:
        for one in running:
            one.cancel()
