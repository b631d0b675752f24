"""A what-if in memory: the same models say the same, another one what is expected; what cannot be decided is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from memfold.memory.errors import InvalidInput, WhatIfStopped
from memfold.memory.facts import Candidate, Decision, FoundFact
from memfold.memory.understanding import Models
from memfold.providers.answers import Tally
from memfold.providers.llm_choice import with_llm
from memfold.providers.model_settings import ModelSettings
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.providers.presets import close_models, judges_from
from memfold.providers.recorded_answers import RecordedAnswers
from memfold.replay.what_if import answers_of, asked_of, what_if
from memfold.replay.what_if_asked import Asked, Commands, Step, Told
from memfold.replay.what_if_decided import Both
from memfold.replay.what_if_difference import Difference, difference
from memfold.schemas.records import (
    ClearRequested,
    Command,
    DeleteRequested,
    MemoriesDecided,
    RetryRequested,
    UpdateRequested,
)
from tests.emulator.openai_server import OpenAIServer
from tests.memory.rooms import ALEX
from tests.memory.taking_back import OTHER, LoggedRoom

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
        steps = [Step(e, a) for e, a in zip(self.events[begin:], self.asked_for[begin:], strict=True)]
        told = Told("alex", self.events[:begin], steps)
        found = await what_if(Commands([told], 0, {}), asked_of(models, None), Tally())
        return found.decided[0]


def texts(both: Both) -> list[str]:
    return [known.text for known in both.shadow.memories.values()]


SAID = [
    "I like coffee",
    "Actually, I prefer tea now",
    "I met Sarah from Google",
    "Sarah left Google",
    "I live in Oslo",
    "I moved to Bergen",
    "I have a dog",
    "Thanks!",
]


async def live(room: Recorded, random: Random) -> None:
    """One random command."""
    memories, asked = list(room.state.memories), [event.envelope.command_id for event in room.events]
    kind = random.choice(["say", "say", "say", "as said", "update", "delete", "clear", "retry", "revoke"])
    if kind in ("say", "as said") or not memories:
        scope = random.choice([ALEX, ALEX, OTHER])
        said = random.choices(SAID, k=random.randint(1, 2))
        await room.say(*said, infer=kind != "as said", scope=scope)
    elif kind == "update":
        await room.ask(UpdateRequested(random.choice(memories), random.choice(SAID)))
    elif kind == "delete":
        await room.ask(DeleteRequested(random.choice(memories)))
    elif kind == "clear":
        await room.ask(ClearRequested(random.choice([ALEX, OTHER])))
    elif kind == "retry":
        await room.ask(RetryRequested(ALEX))
    else:
        await room.revoke(random.choice(asked))


def offline() -> Recorded:
    room = Recorded()
    room.extractor, room.decider = OfflineExtractor(("user",)), OfflineDecider()  # type: ignore[assignment]
    return room


@given(st.randoms(use_true_random=False), st.integers(0, 10))
@settings(max_examples=25, deadline=None)
def test_the_same_models_over_any_life_make_no_difference(random: Random, begin: int) -> None:
    async def lived() -> tuple[Recorded, Both]:
        room = offline()
        for _ in range(12):
            await live(room, random)
        return room, await room.again(room.models(), begin)

    room, both = asyncio.run(lived())
    assert difference(both.recorded, both.shadow) == NOTHING._replace(same=len(room.state.memories))
    if begin == 0:
        # Else what the worker remembered as heard, which is no part of the fold, saves it from asking.
        assert [one.body for one in both.steps] == [event.body for event in room.events]


async def test_other_models_gain_lose_and_change_and_nothing_recorded_moves() -> None:
    room = Recorded()
    for text in ("I like coffee", "I live in Oslo", "I have a dog"):
        await room.say(text)
    before = list(room.events)
    other = Recorded()
    other.extractor.facts = [FoundFact("I like coffee"), FoundFact("I own a boat")]
    both = await room.again(other.models(), begin=2)
    found = difference(both.recorded, both.shadow)
    # "I like coffee" is known already; the fact that comes first among the command's memories has the dog's id, and other words.
    assert sorted(texts(both)) == ["I like coffee", "I live in Oslo", "I own a boat"]
    assert [one.text for one in found.gained] + [now.text for _, now in found.changed] == ["I own a boat"]
    assert [one.text for one in found.lost] + [then.text for then, _ in found.changed] == ["I have a dog"]
    assert (found.same, room.events) == (2, before)


async def test_a_delete_by_hand_follows_what_was_meant_not_the_id() -> None:
    room = Recorded()
    body = await room.say("I like coffee", "I have a dog")
    coffee = next(done.memory_id for done in body.operations if done.text == "I like coffee")
    await room.ask(DeleteRequested(coffee))
    other = Recorded()
    other.extractor.facts = [FoundFact("I have a dog"), FoundFact("I like coffee")]
    both = await room.again(other.models())
    assert (texts(both), both.not_followed) == (["I have a dog"], 0)
    other.extractor.facts = [FoundFact("I have a dog")]
    both = await room.again(other.models())
    # The id is the dog's there: nothing that says what was meant, so nothing goes.
    assert (texts(both), both.not_followed) == (["I have a dog"], 1)
    assert both.steps[-1].body.outcome == "rejected"


async def test_what_an_agent_took_back_is_taken_back_there_too() -> None:
    room = Recorded()
    await room.say("I like coffee")
    await room.say("I have a dog")
    await room.revoke(room.events[0].envelope.command_id)
    both = await room.again(room.models())
    assert texts(both) == ["I have a dog"]


async def test_an_embedder_that_is_away_ends_it() -> None:
    room = Recorded()
    await room.say("I like coffee")
    room.embedder.down = True
    with pytest.raises(WhatIfStopped, match="the embedder is down"):
        await room.again(room.models())


async def test_a_threshold_hides_memories_from_a_decision() -> None:
    room = Recorded()
    await room.say("I like coffee")
    await room.say("I like tea")
    shown: list[int] = []

    def script(candidates: Sequence[Candidate]) -> list[Decision]:
        shown.append(len(candidates[0].similar))
        return [Decision("ADD", 0, candidates[0].fact.text)]

    room.decider.script = script
    await room.again(room.models())
    await room.again(asked_of(room.models(), 1.0))
    assert shown == [0, 1, 0, 0]


def test_a_key_goes_only_to_whom_it_was_given_for() -> None:
    mine = ModelSettings(llm_provider="openai", llm_model="a", llm_api_key=SecretStr("secret"))
    assert with_llm(mine, "b").llm_api_key is not None
    assert with_llm(mine, "openai/b").llm_api_key is not None
    assert with_llm(mine, "groq/b").llm_api_key is None
    assert with_llm(mine, "b", "http://127.0.0.1:9/v1").llm_api_key is None
    assert with_llm(mine, "meta/llama").llm_model == "meta/llama"
    assert with_llm(mine, "offline").llm_provider == "offline"
    with pytest.raises(InvalidInput, match="follow rules and no prompts"):
        with_llm(ModelSettings(), prompt="Only food.")


async def test_recorded_answers_are_taken_where_nothing_that_matters_changed() -> None:
    async with OpenAIServer() as server:
        mine = ModelSettings(
            llm_provider="openai", llm_model="emulated", llm_base_url=server.base_url, llm_api_key=SecretStr("none")
        )  # fmt: skip
        room = Recorded()
        room.extractor, room.decider = judges_from(mine)  # type: ignore[assignment]
        for text in ("I like coffee", "Actually, I prefer tea now", "I met Sarah from Google"):
            await room.say(text)
        asked = server.requests.total()

        async def again(changed: ModelSettings, dry: bool = False) -> tuple[Both, Tally]:
            told = Told("alex", [], [Step(*one) for one in zip(room.events, room.asked_for, strict=True)])
            commands, tally = Commands([told], 0, {}), Tally()
            known = answers_of(commands)
            judges = judges_from(changed, lambda chat: RecordedAnswers(chat, known, tally, dry=dry))
            try:
                found = await what_if(commands, Models(room.embedder, *judges), tally)
            finally:
                await close_models(*judges)
            return found.decided[0], tally

        both, tally = await again(mine)
        assert server.requests.total() == asked == len(tally.reused)
        assert tally.asked == []
        assert [one.body for one in both.steps] == [event.body for event in room.events]

        other = with_llm(mine, decision_prompt="When in doubt, UPDATE.")
        _, tally = await again(other, dry=True)
        decisions = tally.unasked
        assert (len(tally.reused) + decisions, server.requests.total()) == (asked, asked)
        _, tally = await again(other)
        # What facts there are was asked before; what becomes of them is asked anew.
        assert (len(tally.reused), len(tally.asked)) == (asked - decisions, decisions)

        both, tally = await again(with_llm(mine, prompt="Only drinks."), dry=True)
        assert (tally.unasked + both.following, tally.reused) == (asked, [])
        server.will_say("not JSON at all", times=3)
        _, tally = await again(with_llm(mine, prompt="Only drinks."))
        assert tally.unusable == 1
        server.misbehave("401", times=9)
        with pytest.raises(WhatIfStopped, match="Nothing was changed"):
            await again(with_llm(mine, "another"))
    await close_models(room.extractor, room.decider)
