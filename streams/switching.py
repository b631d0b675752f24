"""From one generation to the next under live traffic: stop, catch up to the same position, move the pointer, go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from memfold.projections.base import Shard
from memfold.streams.projecting import ShardSink
from memfold.streams.reader import LogReader


async def switch(
    sinks: Mapping[int, ShardSink],
    open_shard: Callable[[int], Shard],
    reader: LogReader,
    agreed: Callable[[], Awaitable[None]],
) -> None:
    """Bring every partition's sink into a new generation; `agreed` returns when the pointer has moved, while all of them stand still.

    Readers see the old generation until then and the new one after, at the same position: no gap and no mix. If anything
    fails before, the sinks go on in the old one.
    """
    async with AsyncExitStack() as standing, AsyncExitStack() as fresh:
        for partition in sorted(sinks):
            await standing.enter_async_context(sinks[partition].turn)
        shards: dict[int, Shard] = {}
        for partition, sink in sinks.items():
            shard = await asyncio.to_thread(open_shard, partition)
            fresh.callback(shard.close)
            shards[partition] = await asyncio.to_thread(sink.caught_up, shard, reader)
        await agreed()
        fresh.pop_all()
        for partition, sink in sinks.items():
            await asyncio.to_thread(sink.swap, shards[partition])
