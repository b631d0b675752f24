"""A worker's part in going over to another generation, in two steps, so that several workers go over as one.

    prepare    every shard that this worker owns stands still, and the new one beside it stands at the same position
    go over    the pointer moves, and each worker goes on in the new one

Whoever asks for it prepares all workers, and lets them go over only when together they hold every partition. One who never comes
back holds nobody up for long: after HELD seconds a prepared worker looks at the pointer, and goes where it points.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Shard
from memfold.projections.generations import Generations
from memfold.streams.projecting import ShardSink
from memfold.streams.reader import LogReader
from memfold.streams.switching import switch

HELD = 10.0
"""Seconds that a prepared worker stands still at most: a rebuild that is killed at that moment must not make writers give up, who wait
for `patience`, 30 s unless set otherwise."""

logger = logging.getLogger(__name__)


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class _Prepared:
    generation: str
    still: asyncio.Future[None] = field(default_factory=_future)
    go: asyncio.Future[None] = field(default_factory=_future)
    task: asyncio.Task[None] | None = None


class Switches:
    """Of one worker. Mappings change while partitions come and go."""

    def __init__(
        self,
        generations: Mapping[str, Generations],
        sinks: Mapping[str, Mapping[int, ShardSink]],
        open_shard: Callable[[str, str, int], Shard],
        reader: LogReader,
    ) -> None:
        self._generations, self._sinks = generations, sinks
        self._open_shard, self._reader = open_shard, reader
        self._prepared: dict[str, _Prepared] = {}

    async def prepare(self, projection: str, generation: str) -> list[int] | None:
        """The partitions that now stand still; None where the projection is not run here. Raises InvalidInput, ModelUnavailable."""
        if projection not in self._sinks:
            return None
        await self.drop(projection)
        one = self._prepared[projection] = _Prepared(generation)
        sinks = {partition: sink for partition, sink in self._sinks[projection].items() if sink.opened}
        open_shard = partial(self._open_shard, projection, generation)
        one.task = asyncio.create_task(
            switch(sinks, open_shard, self._reader, lambda: self._agreed(projection, one))
        )
        one.task.add_done_callback(_told)
        await asyncio.wait([one.task, one.still], return_when=asyncio.FIRST_COMPLETED)
        if one.task.done():
            del self._prepared[projection]
            one.task.result()
        return sorted(sinks)

    async def _agreed(self, projection: str, one: _Prepared) -> None:
        one.still.set_result(None)
        generations = self._generations[projection]
        await asyncio.wait([one.go], timeout=HELD)
        if not one.go.done() and generations.served() != one.generation:
            raise InvalidInput(
                f"nobody said within {HELD:.0f} s that all workers go over to {one.generation}"
            )
        generations.serve(one.generation)

    async def go_over(self, projection: str, generation: str) -> bool:
        """Return when the new generation is followed; False where it was not prepared, or too long ago."""
        one = self._prepared.pop(projection, None)
        if one is None or one.task is None or one.generation != generation:
            return False
        if not one.go.done():
            one.go.set_result(None)
        await one.task
        return True

    async def drop(self, projection: str) -> None:
        """Go on in the generation that is served."""
        one = self._prepared.pop(projection, None)
        if one is None or one.task is None:
            return
        # Until then a thread works on the new shard.
        await asyncio.wait([one.task, one.still], return_when=asyncio.FIRST_COMPLETED)
        one.task.cancel()
        await asyncio.wait([one.task])

    async def close(self) -> None:
        for projection in list(self._prepared):
            await self.drop(projection)


def _told(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (refused := task.exception()) is not None:
        logger.warning("not gone over to another generation: %s", refused)
