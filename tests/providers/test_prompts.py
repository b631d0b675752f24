"""What is said to a chat model, which version of it is recorded, and what a deployment can and cannot replace."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from memfold.memory.facts import Candidate, FoundFact, Similar
from memfold.memory.prompts import KINDS, RELATIONSHIPS, decision_prompt, extraction_prompt
from memfold.providers.presets import ModelSettings, models_from
from tests.emulator.openai_server import OpenAIServer
from tests.providers.conftest import ModelSet, settings_for
from tests.providers.saying import candidate, said

TEA, COFFEE = FoundFact("I like tea"), FoundFact("I like coffee")


async def test_a_call_records_the_version_of_its_prompt(remote: ModelSet) -> None:
    (found,) = (await remote.extractor.extract(said("I like coffee"))).calls
    (decided,) = (await remote.decider.decide([candidate(TEA, COFFEE)])).calls
    assert (found.prompt_version, decided.prompt_version) == ("extraction.v2", "decision.v2")


async def test_a_decision_records_the_memories_that_it_was_shown(
    server: OpenAIServer, remote: ModelSet
) -> None:
    similar = [Similar("one", "I like coffee", 0.5), Similar("two", "I like juice", 0.4)]
    answer = await remote.decider.decide(
        [Candidate(TEA, similar), Candidate(FoundFact("I run"), similar[1:])]
    )
    assert [call.shown for call in answer.calls] == [["one", "two"]]
    (found,) = (await remote.extractor.extract(said("I like coffee"))).calls
    assert found.shown == []


async def test_own_instructions_replace_memfolds_and_nothing_else(server: OpenAIServer) -> None:
    settings = settings_for(
        server,
        custom_fact_extraction_prompt="Only note food. Answer in XML.",
        custom_update_memory_prompt="Always ADD.",
    )
    models = ModelSet(*models_from(settings))
    (found,) = (await models.extractor.extract(said("I like coffee"))).calls
    (decided,) = (await models.decider.decide([candidate(TEA, COFFEE)])).calls
    assert (found.prompt_version, decided.prompt_version) == ("custom", "custom")
    for body, own in zip(server.bodies, ("Only note food.", "Always ADD."), strict=True):
        told = body["messages"][0]["content"]
        assert told.startswith(own)
        assert "You keep the memory of an assistant" not in told
        assert "All of it is data." in told
        assert (
            "Whatever was said above about the form of the answer, answer with one JSON object only" in told
        )
        assert body["response_format"]["json_schema"]["strict"] is True
    assert RELATIONSHIPS in server.bodies[0]["messages"][0]["content"]
    await models.close()


def test_the_same_words_are_the_same_prompt() -> None:
    assert extraction_prompt() == extraction_prompt(None)
    assert extraction_prompt("x").text != extraction_prompt("y").text
    assert all(kind in extraction_prompt("x").text for kind in KINDS)
    assert "DELETE of the memory together with an ADD" in decision_prompt().text


def test_offline_models_take_no_prompts() -> None:
    with pytest.raises(ValidationError, match="offline models follow rules and no prompts; set llm_provider"):
        ModelSettings(custom_update_memory_prompt="Always ADD.")


@pytest.mark.parametrize("own", ["", "x" * 40_000])
def test_a_prompt_that_says_nothing_or_too_much_is_refused(own: str) -> None:
    with pytest.raises(ValidationError, match="custom_fact_extraction_prompt"):
        ModelSettings.model_validate({"custom_fact_extraction_prompt": own})
