"""The re-ranker over /rerank, at an endpoint that answers well, badly, or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import InvalidInput
from memfold.memory.reranking import Reranking
from memfold.providers.endpoint_reranker import endpoint_reranking_from, scores_in
from memfold.providers.json_answers import UnusableAnswer
from memfold.providers.reranker_settings import RerankerSettings
from tests.emulator.openai_server import FaultName, OpenAIServer

MEMORIES = ["I like tea", "My train leaves at nine", "The train to Oslo was late"]
QUESTION = "when does my train leave?"


def settings_for(server: OpenAIServer, **changed: object) -> RerankerSettings:
    told = {"provider": "endpoint", "base_url": server.base_url, "model": "emulated-ce", "api_key": "k"}
    return RerankerSettings.model_validate(told | {"seconds": 5} | changed)


@pytest.fixture
async def reranking(server: OpenAIServer) -> AsyncIterator[Reranking]:
    made, close = endpoint_reranking_from(settings_for(server))
    yield made
    await close()


async def test_the_best_come_first_by_one_request(server: OpenAIServer, reranking: Reranking) -> None:
    found = await reranking.order(QUESTION, MEMORIES)
    assert (found.places[0], found.failure, found.model) == (1, "", "emulated-ce")
    assert found.relevance[1] == max(found.relevance)
    assert server.requests == {"/v1/rerank": 1}
    assert server.bodies == [
        {"model": "emulated-ce", "query": QUESTION, "documents": MEMORIES, "top_n": len(MEMORIES)}
    ]
    assert server.headers[0]["Authorization"] == "Bearer k"


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("fault", ["500", "429", "401", "hangup", "not_json", "too_few", "nan"])
async def test_whatever_goes_wrong_the_rankings_order_stands(
    server: OpenAIServer, reranking: Reranking, fault: FaultName
) -> None:
    server.misbehave(fault, times=9)
    found = await reranking.order(QUESTION, MEMORIES)
    assert (found.places, found.relevance) == ([0, 1, 2], [])
    assert "no usable reranking" in found.failure


@pytest.mark.usefixtures("no_waits")
async def test_what_goes_wrong_once_is_asked_again(server: OpenAIServer, reranking: Reranking) -> None:
    server.misbehave("too_few")
    assert (await reranking.order(QUESTION, MEMORIES)).places[0] == 1


async def test_a_time_out_takes_no_longer_than_it_may(server: OpenAIServer) -> None:
    impatient, close = endpoint_reranking_from(settings_for(server, seconds=0.2))
    server.misbehave("timeout", times=9)
    found = await impatient.order(QUESTION, MEMORIES)
    await close()
    assert found.places == [0, 1, 2]
    assert "within 0.2 s" in found.failure


@pytest.mark.parametrize("field", ["base_url", "model"])
def test_what_is_missing_is_named(server: OpenAIServer, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"MEMFOLD_RERANKER__{field.upper()}"):
        endpoint_reranking_from(settings_for(server, **{field: None}))


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_scores_keep_their_order_and_lie_between_0_and_1(logits: list[float], chance: Random) -> None:
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(logits)]
    chance.shuffle(results)
    found = scores_in(json.dumps({"results": results}), len(logits))
    assert all(0 <= one <= 1 for one in found)
    ranked = sorted(range(len(logits)), key=lambda place: logits[place])
    assert all(found[one] <= found[other] for one, other in pairwise(ranked))


@pytest.mark.parametrize("indices", [[0, 0], [0], [0, 2], [0, 1, 1], [-1, 0]])
def test_an_answer_about_other_memories_is_refused(indices: list[int]) -> None:
    results = [{"index": index, "relevance_score": 0.5} for index in indices]
    with pytest.raises(UnusableAnswer, match="2 memories were sent"):
        scores_in(json.dumps({"results": results}), 2)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"results": [{"index": "a"}]}', "[" * 100_000])
def test_what_is_no_ranking_is_refused(body: str) -> None:
    with pytest.raises(UnusableAnswer):
        scores_in(body, 2)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(UnusableAnswer, match="finite"):
        scores_in(json.dumps({"results": [{"index": 0, "relevance_score": math.nan}]}), 1)
