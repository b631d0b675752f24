"""How the processes of a worker end: told to stop, or because one of its processors failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from memfold.streams.processor import Processor


async def until_stopped(processors: Sequence[Processor], stop: asyncio.Event) -> None:
    """Until `stop` is set or one of them fails; raises what it failed with."""
    stopping = asyncio.ensure_future(_set(stop))
    failures = [processor.failed for processor in processors]
    done, _ = await asyncio.wait([stopping, *failures], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for future in done:
        future.result()


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel it and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])


async def _set(event: asyncio.Event) -> None:
    await event.wait()
