"""Each way an endpoint misbehaves, and what comes of it: an answer, or ModelUnavailable with the record of the call."""

from __future__ import annotations

import asyncio
import time

import pytest

from memfold.memory.errors import ModelUnavailable
from memfold.memory.facts import FoundFact
from memfold.providers.endpoint import ANSWER_KEPT, Endpoint, Limits, Question, Reply
from memfold.providers.json_answers import UnusableAnswer
from memfold.providers.presets import models_from
from tests.emulator.openai_server import FaultName, OpenAIServer
from tests.providers.conftest import ModelSet, settings_for
from tests.providers.saying import candidate, in_words, said

GOLDEN = {"alex MET Sarah[PERSON]", "Sarah WORKS_AT Google[COMPANY]"}
CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"

READ_AT_ONCE: tuple[FaultName, ...] = (
    "latency",
    "prose",
    "fence",
    "thinking",
    "reasoning",
    "trailing_comma",
    "bare_list",
)
PASSING: dict[FaultName, str] = {
    "429": "HTTP 429",
    "500": "HTTP 500",
    "hangup": "connection broke",
    "not_json": "no chat completion",
    "truncated": "cannot be used",
    "cut_off": "cut off",
    "refusal": "refused",
    "empty": "no choices",
    "huge": "longer than",
    "unknown_integer": "message 99",
}


@pytest.mark.parametrize("fault", READ_AT_ONCE)
async def test_an_odd_form_is_read_at_the_first_attempt(
    server: OpenAIServer, remote: ModelSet, fault: FaultName
) -> None:
    server.misbehave(fault, seconds=0.05)
    extraction = await remote.extractor.extract(said("I met Sarah from Google"))
    assert in_words(extraction.facts[0].relations) == GOLDEN
    assert server.requests[CHAT] == 1


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("fault", PASSING)
async def test_a_fault_that_passes_is_outlasted(
    server: OpenAIServer, remote: ModelSet, fault: FaultName
) -> None:
    server.misbehave(fault, times=2)
    extraction = await remote.extractor.extract(said("I met Sarah from Google"))
    assert in_words(extraction.facts[0].relations) == GOLDEN
    (call,) = extraction.calls
    assert (call.attempts, call.error) == (3, "")


CANDIDATES = [candidate(FoundFact("Actually, I prefer tea now"), FoundFact("I like coffee"))]
IN_DECISIONS = {**PASSING, "unknown_integer": "memory 99"}


@pytest.mark.parametrize("fault", READ_AT_ONCE)
async def test_an_odd_decision_is_read_at_the_first_attempt(
    server: OpenAIServer, remote: ModelSet, fault: FaultName
) -> None:
    server.misbehave(fault, seconds=0.05)
    (decision,) = (await remote.decider.decide(CANDIDATES)).decisions
    assert (decision.op, decision.memory_id) == ("UPDATE", "m0")
    assert server.requests[CHAT] == 1


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("fault", IN_DECISIONS)
async def test_a_decision_outlasts_a_fault_that_passes_and_names_one_that_stays(
    server: OpenAIServer, remote: ModelSet, fault: FaultName
) -> None:
    server.misbehave(fault, times=2)
    answer = await remote.decider.decide(CANDIDATES)
    assert [(each.op, each.memory_id) for each in answer.decisions] == [("UPDATE", "m0")]
    assert [(call.attempts, call.shown) for call in answer.calls] == [(3, ["m0"])]
    server.misbehave(fault, times=3)
    with pytest.raises(ModelUnavailable, match=IN_DECISIONS[fault]) as raised:
        await remote.decider.decide(CANDIDATES)
    (call,) = raised.value.calls
    assert (call.purpose, call.attempts, call.shown) == ("decision", 3, ["m0"])
    assert len(call.answer.encode()) <= ANSWER_KEPT


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("fault", PASSING)
async def test_a_fault_that_stays_is_named_and_recorded(
    server: OpenAIServer, remote: ModelSet, fault: FaultName
) -> None:
    server.misbehave(fault, times=9)
    with pytest.raises(ModelUnavailable, match=PASSING[fault]) as raised:
        await remote.extractor.extract(said("I met Sarah from Google"))
    assert server.requests[CHAT] == 3
    (call,) = raised.value.calls
    assert (call.purpose, call.provider, call.model, call.attempts) == ("extraction", "openai", "emulated", 3)
    assert PASSING[fault] in call.error
    assert len(call.answer.encode()) <= ANSWER_KEPT
    assert len(call.prompt_hash) == 64


@pytest.mark.usefixtures("no_waits")
async def test_a_silent_endpoint_costs_its_time_limit_each_attempt(server: OpenAIServer) -> None:
    impatient = ModelSet(*models_from(settings_for(server, timeout_seconds=0.2)))
    server.misbehave("timeout", times=9)
    asked = time.perf_counter()
    with pytest.raises(ModelUnavailable, match=r"no answer within 0\.2 s"):
        await impatient.extractor.extract(said("I like coffee"))
    assert 0.6 <= time.perf_counter() - asked < 2.0
    await impatient.close()


async def test_all_attempts_together_have_a_time_limit(server: OpenAIServer) -> None:
    bounded = ModelSet(*models_from(settings_for(server, timeout_seconds=60, call_seconds=0.2)))
    server.misbehave("timeout", times=9)
    with pytest.raises(
        ModelUnavailable, match=r"extraction in 1 attempts: no answer within 0\.2 s"
    ) as raised:
        await bounded.extractor.extract(said("I like coffee"))
    assert raised.value.calls[0].error == "no answer within 0.2 s"
    with pytest.raises(ModelUnavailable, match=r"decision in 1 attempts: no answer within 0\.2 s"):
        await bounded.decider.decide(CANDIDATES)
    await bounded.close()


async def test_a_wait_that_goes_past_the_limit_is_not_begun(server: OpenAIServer) -> None:
    bounded = ModelSet(*models_from(settings_for(server, call_seconds=10)))
    server.misbehave("429", times=9, seconds=15)
    with pytest.raises(ModelUnavailable, match="HTTP 429"):
        await bounded.extractor.extract(said("I like coffee"))
    assert server.requests[CHAT] == 1
    await bounded.close()


@pytest.mark.parametrize("fault", ["400", "401"])
async def test_a_refused_request_is_not_repeated(
    server: OpenAIServer, remote: ModelSet, fault: FaultName
) -> None:
    server.misbehave(fault, times=9)
    with pytest.raises(ModelUnavailable, match=f"HTTP {fault}"):
        await remote.extractor.extract(said("I like coffee"))
    with pytest.raises(ModelUnavailable, match=f"HTTP {fault}"):
        await remote.decider.decide(CANDIDATES)
    assert server.requests[CHAT] == 2


@pytest.mark.usefixtures("no_waits")
async def test_retry_after_is_obeyed(server: OpenAIServer, remote: ModelSet) -> None:
    server.misbehave("429", seconds=1)
    asked = time.perf_counter()
    extraction = await remote.extractor.extract(said("I like coffee"))
    assert extraction.facts
    assert time.perf_counter() - asked >= 1.0


async def test_a_long_retry_after_is_not_waited_for(server: OpenAIServer, remote: ModelSet) -> None:
    server.misbehave("429", times=9, seconds=3600)
    with pytest.raises(ModelUnavailable, match="HTTP 429"):
        await remote.extractor.extract(said("I like coffee"))
    assert server.requests[CHAT] == 1


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    async with OpenAIServer() as gone:
        settings = settings_for(gone)
    models = ModelSet(*models_from(settings))
    with pytest.raises(ModelUnavailable, match="no connection: Cannot connect to host"):
        await models.extractor.extract(said("I like coffee"))
    with pytest.raises(ModelUnavailable, match="no connection: Cannot connect to host"):
        await models.embedder.embed(["I like coffee"])
    await models.close()


@pytest.mark.usefixtures("no_waits")
async def test_an_unknown_memory_is_refused_not_guessed(server: OpenAIServer, remote: ModelSet) -> None:
    server.misbehave("unknown_integer", times=9)
    with pytest.raises(ModelUnavailable, match="memory 99 was not shown"):
        await remote.decider.decide([candidate(FoundFact("I like tea"), FoundFact("I like coffee"))])


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("nan", "NaN or infinity"),
        ("wrong_dimension", "257 dimensions, 256 are configured"),
        ("zero", "is zero"),
        ("too_few", "1 vectors for 2 texts"),
        ("not_json", "no embeddings"),
        ("500", "HTTP 500"),
    ],
)
async def test_wrong_vectors_are_refused(
    server: OpenAIServer, remote: ModelSet, fault: FaultName, why: str
) -> None:
    server.misbehave(fault, times=9)
    with pytest.raises(ModelUnavailable, match=why) as raised:
        await remote.embedder.embed(["I like coffee", "I like tea"])
    assert server.requests[EMBEDDINGS] == 3
    (call,) = raised.value.calls
    assert (call.purpose, call.model) == ("embedding", "emulated-embeddings")


async def test_as_many_calls_as_are_allowed_are_on_their_way_and_the_others_take_their_turn() -> None:
    endpoint = Endpoint("p", "m", "a", Limits(attempt=1.0, call=1.0, at_once=3))
    running, most, order = 0, 0, list[int]()

    async def asked(number: int) -> None:
        async def send() -> Reply:
            nonlocal running, most
            order.append(number)
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.15)
            running -= 1
            return Reply(str(number))

        answer, call = await endpoint.ask(Question("extract", ""), send, lambda reply: reply.answer)
        assert answer == str(number)
        assert call.latency_ms < 1_000, "to wait for a turn is not the model's latency"

    # Longer than a call may take: no time limit runs while they wait.
    await asyncio.gather(*(asked(number) for number in range(24)))
    assert (most, order) == (3, list(range(24)))


async def test_who_waits_for_a_turn_is_refused_once_the_breaker_opens(no_waits: None) -> None:
    endpoint = Endpoint("p", "m", "a", Limits(attempt=1.0, call=1.0, breaker_failures=1, at_once=1))

    async def send() -> Reply:
        raise UnusableAnswer("nothing of use")

    asking = (endpoint.ask(Question("extract", ""), send, lambda reply: reply.answer) for _ in range(3))
    first, *others = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(first, ModelUnavailable)
    assert first.calls[0].attempts > 0
    for other in others:
        assert isinstance(other, ModelUnavailable)
        assert other.calls[0].attempts == 0
