"""A worker's part in going over to another generation, in two steps, so that several workers go over as one.

    prepare    every shard that this worker owns stands still, and the new one beside it stands at the same position
    go over    the pointer moves, and each worker goes on in the new one

Whoever asks for it makes a proposal (projections/proposals.py), prepares all workers, and lets them go over only when together they
hold every partition. One who never comes back holds nobody up for long: after HELD seconds a prepared worker withdraws the proposal.
Then the pointer stays for everybody; or it had moved, and the worker goes where it points. So no worker goes on in one generation
while another one moves the pointer to the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Shard
from memfold.projections.generations import Generations
from memfold.projections.proposals import Proposals
from memfold.streams.projecting import ShardSink
from memfold.streams.reader import LogReader
from memfold.streams.switching import switch

HELD = 10.0
"""Seconds that a prepared worker stands still at most: a rebuild that is killed at that moment must not make writers give up, who wait
for `patience`, 30 s unless set otherwise."""

logger = logging.getLogger(__name__)


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class _Prepared:
    """`go`: whether to go over, once that is known."""

    generation: str
    proposal: str
    still: asyncio.Future[None] = field(default_factory=_future)
    go: asyncio.Future[bool] = field(default_factory=_future)
    task: asyncio.Task[None] | None = None

    def decide(self, go: bool) -> None:
        """The first word counts."""
        if not self.go.done():
            self.go.set_result(go)


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

    async def prepare(self, projection: str, generation: str, proposal: str) -> list[int] | None:
        """The partitions that now stand still; None where the projection is not run here. Raises InvalidInput, ModelUnavailable."""
        if projection not in self._sinks:
            return None
        await self.drop(projection)
        one = self._prepared[projection] = _Prepared(generation, proposal)
        sinks = {partition: sink for partition, sink in self._sinks[projection].items() if sink.opened}
        open_shard = partial(self._open_shard, projection, generation)
        one.task = asyncio.create_task(
            switch(sinks, open_shard, self._reader, lambda: self._agreed(projection, one))
        )
        one.task.add_done_callback(_told)
        await asyncio.wait([one.task, one.still], return_when=asyncio.FIRST_COMPLETED)
        if one.task.done():
            if self._prepared.get(projection) is one:
                del self._prepared[projection]
            one.task.result()
        return sorted(sinks)

    async def _agreed(self, projection: str, one: _Prepared) -> None:
        one.still.set_result(None)
        generations = self._generations[projection]
        await asyncio.wait([one.go], timeout=HELD)
        proposals = Proposals(generations)
        if one.go.done() and one.go.result():
            proposals.commit(one.proposal)
        else:
            proposals.withdraw(one.proposal)
        if generations.served() != one.generation:
            raise InvalidInput(
                f"{one.generation} is not served: its proposal was withdrawn, or not all workers were ready within {HELD:.0f} s"
            )

    async def go_over(self, projection: str, proposal: str) -> bool:
        """Return when the new generation is followed; False where this was not prepared. Raises InvalidInput where it was withdrawn."""
        one = self._prepared.get(projection)
        if one is None or one.task is None or one.proposal != proposal:
            return False
        del self._prepared[projection]
        one.decide(True)
        await one.task
        return True

    async def drop(self, projection: str) -> None:
        """Wait no longer: go on in the generation that is served."""
        one = self._prepared.pop(projection, None)
        if one is None or one.task is None:
            return
        one.decide(False)
        await asyncio.wait([one.task])

    async def close(self) -> None:
        for projection in list(self._prepared):
            await self.drop(projection)


def _told(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (refused := task.exception()) is not None:
        logger.warning("not gone over to another generation: %s", refused)
