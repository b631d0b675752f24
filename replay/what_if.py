"""What would have been: the commands of a stretch of the log decided again, in memory, with other models.

Nothing is written to the log or to what is served. Subjects are decided at the same time, the commands of one in turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from memfold.memory.errors import ModelUnavailable, WhatIfStopped
from memfold.memory.facts import Candidate, Decisions
from memfold.memory.ports import DecisionMaker, Embedder, Vectors
from memfold.memory.understanding import Models
from memfold.providers.answers import Key, Tally, answers_in
from memfold.replay.what_if_asked import Commands, Told
from memfold.replay.what_if_decided import Both, decide_again
from memfold.schemas.records import ModelCall

AT_ONCE = 64
"""Subjects that are decided at the same time."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The subjects of a what-if, and what was asked for them."""

    commands: Commands
    decided: Sequence[Both]
    tally: Tally


def answers_of(commands: Commands) -> dict[Key, ModelCall]:
    """What models said before to these subjects, inside the bounds and before."""
    events = (
        event for told in commands.subjects for event in (*told.before, *(one.event for one in told.steps))
    )
    return answers_in(call for event in events for call in event.body.calls)


async def what_if(
    commands: Commands, models: Models, tally: Tally, done: Callable[[int], None] = lambda commands: None
) -> WhatIf:
    """Decide them all again; `done` is told of each subject's number of commands. Raises WhatIfStopped."""
    places = asyncio.Semaphore(AT_ONCE)

    async def decided(told: Told) -> Both:
        async with places:
            both = await decide_again(told, models)
            done(len(told.steps))
            return both

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(decided(told)) for told in commands.subjects]
    except* WhatIfStopped as stopped:
        raise _first(stopped) from stopped
    return WhatIf(commands, [task.result() for task in tasks], tally)


def _first(group: BaseExceptionGroup[WhatIfStopped]) -> WhatIfStopped:
    """All subjects ask the same endpoint: what the first one says holds for all."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


class Stopping:
    """An embedder without which a what-if does not go on: what was kept without vectors would be told as a difference."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Raises WhatIfStopped."""
        try:
            return await self._embedder.embed(texts)
        except ModelUnavailable as down:
            raise WhatIfStopped(f"{down}. Nothing was changed; see to the embedder and call again") from down


class OnlyNear:
    """A decision maker that is shown only memories whose cosine with the fact is at least `threshold`."""

    def __init__(self, decider: DecisionMaker, threshold: float) -> None:
        self._decider, self._threshold = decider, threshold

    async def decide(self, candidates: Sequence[Candidate]) -> Decisions:
        return await self._decider.decide([
            Candidate(one.fact, [known for known in one.similar if known.score >= self._threshold])
            for one in candidates
        ])  # fmt: skip


def asked_of(models: Models, threshold: float | None) -> Models:
    """The models as a what-if asks them."""
    decider = models.decider if threshold is None else OnlyNear(models.decider, threshold)
    return replace(models, embedder=Stopping(models.embedder), decider=decider)
