"""The circuit breaker of an endpoint: closed, open, half-open, and what a call meets in each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from memfold.memory.errors import ModelUnavailable
from memfold.memory.facts import FoundFact
from memfold.providers.breaker import Breaker, CircuitOpen
from memfold.providers.presets import ModelSettings, breakers_of, models_from
from tests.emulator.openai_server import FaultName, OpenAIServer
from tests.providers.conftest import ModelSet, settings_for
from tests.providers.saying import candidate, said

CHAT = "/v1/chat/completions"
RECOVERY = 3600.0


class Clock:
    """The breaker's time, moved by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now

    def pass_the_recovery(self) -> None:
        self.now += RECOVERY + 1


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr("purgatory.domain.model.time", moved)
    return moved


def state_of(models: ModelSet) -> str:
    return breakers_of(models.extractor)[0].state


async def fail(models: ModelSet, why: str) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable, match=why) as raised:
        await models.extractor.extract(said("I like coffee"))
    return raised.value


@pytest.fixture
async def careful(server: OpenAIServer) -> AsyncIterator[ModelSet]:
    """Models whose breaker opens after two failed calls."""
    settings = settings_for(server, breaker_failures=2, breaker_seconds=RECOVERY)
    made = ModelSet(*models_from(settings))
    yield made
    await made.close()


async def half_open(models: ModelSet, server: OpenAIServer, clock: Clock) -> None:
    """Open, and its time is over."""
    server.misbehave("401", times=2)
    await fail(models, "401")
    await fail(models, "401")
    clock.pass_the_recovery()


async def test_it_opens_after_calls_that_failed_in_a_row(
    server: OpenAIServer, careful: ModelSet, clock: Clock
) -> None:
    server.misbehave("401")
    await fail(careful, "HTTP 401")
    assert state_of(careful) == "closed"
    server.misbehave("400")
    await fail(careful, "HTTP 400")
    opened = breakers_of(careful.extractor)[0]
    assert (opened.state, opened.failures) == ("open", 2)
    assert opened.tried_again_at is not None
    assert opened.tried_again_at.timestamp() == pytest.approx(clock.now + RECOVERY)
    assert opened.endpoint == f"emulated at {server.base_url}"


async def test_while_it_is_open_nothing_is_sent_and_the_failure_says_so(
    server: OpenAIServer, careful: ModelSet
) -> None:
    server.misbehave("401", times=2)
    await fail(careful, "HTTP 401")
    await fail(careful, "HTTP 401")
    asked = server.requests[CHAT]
    refusal = await fail(
        careful, "circuit breaker is open: 2 calls in a row failed, .* UTC; the last one said: .*HTTP 401"
    )
    (call,) = refusal.calls
    assert (call.attempts, call.error, call.purpose, call.prompt_version) == (
        0,
        "circuit breaker open",
        "extraction",
        "extraction.v2",
    )
    with pytest.raises(ModelUnavailable, match="circuit breaker is open"):
        await careful.decider.decide([candidate(FoundFact("I like tea"), FoundFact("I like coffee"))])
    assert server.requests[CHAT] == asked
    assert (await careful.embedder.embed(["I like coffee"])).any(), "another endpoint is not touched"


async def test_a_success_in_between_starts_the_count_again(server: OpenAIServer, careful: ModelSet) -> None:
    for _ in range(3):
        server.misbehave("401")
        await fail(careful, "HTTP 401")
        await careful.extractor.extract(said("I like coffee"))
    assert breakers_of(careful.extractor)[0][1:] == ("closed", 0, None)


@pytest.mark.usefixtures("no_waits")
async def test_attempts_that_were_outlasted_do_not_count(server: OpenAIServer, careful: ModelSet) -> None:
    for _ in range(3):
        server.misbehave("500", times=2)
        await careful.extractor.extract(said("I like coffee"))
    assert state_of(careful) == "closed"


async def test_a_call_that_works_again_closes_it(
    server: OpenAIServer, careful: ModelSet, clock: Clock
) -> None:
    await half_open(careful, server, clock)
    assert (await careful.extractor.extract(said("I like coffee"))).facts
    assert breakers_of(careful.extractor)[0][1:] == ("closed", 0, None)


async def test_a_call_that_fails_again_opens_it_again(
    server: OpenAIServer, careful: ModelSet, clock: Clock
) -> None:
    await half_open(careful, server, clock)
    server.misbehave("400")
    await fail(careful, "HTTP 400")
    assert breakers_of(careful.extractor)[0][1:3] == ("open", 3)
    await fail(careful, "circuit breaker is open")


async def test_one_call_alone_tries_an_endpoint_again(clock: Clock) -> None:
    breaker = Breaker("emulated", failures=1, seconds=RECOVERY)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def fails() -> None:
        raise ModelUnavailable("down")

    async def tries() -> str:
        entered.set()
        await leave.wait()
        return "up"

    with pytest.raises(ModelUnavailable, match="down"):
        await breaker.guard(fails)
    clock.pass_the_recovery()
    probe = asyncio.create_task(breaker.guard(tries))
    await entered.wait()
    assert breaker.state.state == "half-open"
    with pytest.raises(CircuitOpen, match="one call is trying it"):
        await breaker.guard(fails)
    leave.set()
    assert await probe == "up"
    assert breaker.state.state == "closed"
    assert await breaker.guard(tries) == "up"


async def test_a_call_that_began_before_it_opened_does_not_close_it() -> None:
    breaker = Breaker("emulated", failures=1, seconds=RECOVERY)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def is_slow() -> str:
        entered.set()
        await leave.wait()
        return "late"

    async def fails() -> None:
        raise ModelUnavailable("down")

    slow = asyncio.create_task(breaker.guard(is_slow))
    await entered.wait()
    with pytest.raises(ModelUnavailable, match="down"):
        await breaker.guard(fails)
    leave.set()
    assert await slow == "late"
    assert breaker.state[1:3] == ("open", 1)


async def test_a_try_that_is_given_up_opens_it_again_for_the_next(clock: Clock) -> None:
    breaker = Breaker("emulated", failures=1, seconds=RECOVERY)
    entered = asyncio.Event()

    async def fails() -> None:
        raise ModelUnavailable("down")

    with pytest.raises(ModelUnavailable, match="down"):
        await breaker.guard(fails)
    clock.pass_the_recovery()

    async def hangs() -> None:
        entered.set()
        await asyncio.Event().wait()

    given_up = asyncio.create_task(breaker.guard(hangs))
    await entered.wait()
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert breaker.state.state == "open"
    clock.pass_the_recovery()

    async def works() -> str:
        return "up"

    assert await breaker.guard(works) == "up"


def test_offline_models_have_none() -> None:
    assert breakers_of(*models_from(ModelSettings())) == []


FAULTS: tuple[FaultName, ...] = ("401", "429", "500", "timeout", "cut_off", "refusal", "not_json", "huge")


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_that_stays_opens_it(server: OpenAIServer, fault: FaultName) -> None:
    settings = settings_for(server, breaker_failures=2, breaker_seconds=RECOVERY, timeout_seconds=0.2)
    models = ModelSet(*models_from(settings))
    server.misbehave(fault, times=9)
    await fail(models, "gave no usable extraction")
    with pytest.raises(ModelUnavailable, match="gave no usable decision"):
        await models.decider.decide([candidate(FoundFact("I like tea"), FoundFact("I like coffee"))])
    assert state_of(models) == "open"
    await models.close()
