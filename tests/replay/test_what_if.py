"""A what-if in memory: the same models say the same, another one what is expected; what cannot be decided is told."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.memory.errors import InvalidInput, ModelUnavailable, WhatIfStopped
from memfold.memory.understanding import Models
from memfold.providers.answers import Tally
from memfold.providers.llm_choice import with_llm
from memfold.providers.model_settings import ModelSettings
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.replay.what_if import asked_of, what_if
from memfold.replay.what_if_asked import Asked, Commands, Step, Told
from memfold.replay.what_if_decided import Both
from memfold.replay.what_if_difference import Difference, difference
from memfold.schemas.records import AddRequested, Command, DeleteRequested, MemoriesDecided, UpdateRequested
from tests.memory.models import HashEmbedder
from tests.memory.taking_back import LoggedRoom, live

NOTHING = Difference([], [], [], [], [], 0)


class Recorded(LoggedRoom):
    """A room that remembers its commands too."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_for: list[Asked] = []

    async def ask(self, command: Command) -> MemoriesDecided:
        body = await super().ask(command)
        self.asked_for.append(Asked(self.events[-1].envelope, command))
        return body

    def models(self) -> Models:
        return Models(self.embedder, self.extractor, self.decider)

    async def again(self, models: Models, begin: int = 0) -> Both:
        # What the room asks at is what its envelopes say.
        steps = [Step(e, a) for e, a in zip(self.events[begin:], self.asked_for[begin:], strict=True)]
        told = Told("alex", self.events[:begin], steps)
        found = await what_if(Commands([told], 0, {}), asked_of(models, None), Tally())
        return found.decided[0]


def texts(both: Both) -> list[str]:
    return [known.text for known in both.shadow.memories.values()]


@given(st.randoms(use_true_random=False), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_the_same_models_over_any_life_make_no_difference(random: Random, begin: int) -> None:
    async def lived() -> tuple[Recorded, Both]:
        room = Recorded()
        room.extractor, room.decider = OfflineExtractor(("user",)), OfflineDecider()  # type: ignore[assignment]
        await live(room, random, 12)
        for text in ("I like coffee", "I prefer tea now", "I like coffee"):
            await room.say(text)
        return room, await room.again(room.models(), begin)

    room, both = asyncio.run(lived())
    assert difference(both.recorded, both.shadow) == NOTHING._replace(same=len(room.state.memories))
    assert [one.body for one in both.steps] == [event.body for event in room.events[begin:]]
