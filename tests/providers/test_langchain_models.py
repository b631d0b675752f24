"""Any LangChain chat model and embeddings object behind the ports, with langchain-core's own fakes."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from memfold.memory.errors import InvalidInput, ModelUnavailable
from memfold.memory.facts import FoundFact
from memfold.providers.langchain_models import LangChainChat, LangChainEmbedder
from memfold.providers.openai_decider import OpenAIDecider
from memfold.providers.openai_extractor import OpenAIExtractor
from memfold.providers.presets import ModelSettings, breakers_of, embedder_from, models_from
from tests.emulator.golden_answers import answer_to
from tests.emulator.openai_server import without_context
from tests.providers.saying import candidate, in_words, said


class PerfectChat(FakeListChatModel):
    """Answers as the emulator does."""

    def _call(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> str:
        return json.dumps(answer_to(without_context(str(messages[-1].content))))


class BrokenChat(FakeListChatModel):
    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise KeyError("an integration's own mistake")


class BrokenEmbeddings(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float("nan")] * 8 for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return []


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("my_models")
    made.__dict__.update(
        chat=PerfectChat(responses=[]),
        make_chat=lambda: PerfectChat(responses=[]),
        embeddings=DeterministicFakeEmbedding(size=8),
        number=7,
    )
    monkeypatch.setitem(sys.modules, "my_models", made)
    return made


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("path", ["my_models:chat", "my_models:make_chat"])
async def test_the_golden_example(path: str) -> None:
    settings = ModelSettings(
        llm_provider="langchain",
        llm_model=path,
        embedder_provider="langchain",
        embedder_model="my_models:embeddings",
        embedder_dimensions=8,
    )
    embedder, extractor, decider = models_from(settings)
    extraction = await extractor.extract(
        said("I met Sarah from Google", "I like coffee", "Actually, I prefer tea now")
    )
    met, coffee, tea = extraction.facts
    assert in_words(met.relations) == {"alex MET Sarah[PERSON]", "Sarah WORKS_AT Google[COMPANY]"}
    (call,) = extraction.calls
    assert (call.provider, call.model, call.attempts, call.prompt_version) == (
        "langchain",
        path,
        1,
        "extraction.v2",
    )
    (decision,) = (await decider.decide([candidate(tea, met, coffee)])).decisions
    assert (decision.op, decision.memory_id) == ("UPDATE", "m1")
    vectors = await embedder.embed(["I like coffee", " ", "I like coffee"])
    assert vectors.shape == (3, 8)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert (vectors[0] == vectors[2]).all()
    assert (await embedder.embed([])).shape == (0, 8)
    assert [state.state for state in breakers_of(extractor, decider, embedder)] == ["closed", "closed"]


@pytest.mark.usefixtures("no_waits")
async def test_whatever_an_integration_raises_is_the_models_failure() -> None:
    chat = LangChainChat(BrokenChat(responses=[]), "broken")
    with pytest.raises(ModelUnavailable, match=r"KeyError: .*own mistake") as raised:
        await OpenAIExtractor(chat).extract(said("I like coffee"))
    assert raised.value.calls[0].attempts == 3
    with pytest.raises(ModelUnavailable, match="no usable decision"):
        await OpenAIDecider(chat).decide([candidate(FoundFact("I like tea"), FoundFact("I like coffee"))])
    assert chat.breaker.failures == 2


@pytest.mark.usefixtures("no_waits")
async def test_wrong_vectors_are_refused() -> None:
    with pytest.raises(ModelUnavailable, match="NaN"):
        await LangChainEmbedder(BrokenEmbeddings(), "broken", 8).embed(["I like coffee"])


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"llm_model": None}, "MEMFOLD_MODELS__LLM_MODEL"),
        ({"llm_model": "my_models:absent"}, "llm_model is 'my_models:absent', which cannot be imported"),
        ({"llm_model": "nowhere:chat"}, "No module named 'nowhere'"),
        ({"llm_model": "my_models:number"}, "a int, which is no LangChain chat model"),
        ({"llm_model": "my_models:embeddings"}, "which is no LangChain chat model"),
    ],
)
def test_what_is_no_model_is_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        models_from(ModelSettings.model_validate({"llm_provider": "langchain"} | changed))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_core", None)
    with pytest.raises(
        InvalidInput, match=r"llm_provider is langchain, .* pip install 'memfold\[langchain\]'"
    ):
        models_from(ModelSettings(llm_provider="langchain", llm_model="my_models:chat"))
    with pytest.raises(InvalidInput, match="embedder_provider is langchain"):
        embedder_from(ModelSettings(embedder_provider="langchain", embedder_model="my_models:embeddings"))


def test_embeddings_have_to_say_their_dimensions() -> None:
    with pytest.raises(InvalidInput, match="MEMFOLD_MODELS__EMBEDDER_DIMENSIONS"):
        embedder_from(ModelSettings(embedder_provider="langchain", embedder_model="my_models:embeddings"))
