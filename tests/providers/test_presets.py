"""Settings become models; what is missing is named with the variable that sets it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from memfold.memory.errors import InvalidInput
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.providers.presets import ModelSettings, embedder_from, models_from
from memfold.providers.services import EMBEDDINGS
from memfold.providers.wordllama_embedder import WordLlamaEmbedder
from tests.emulator.openai_server import OpenAIServer
from tests.providers.conftest import ModelSet, settings_for
from tests.providers.saying import said

LOCAL = "http://127.0.0.1:9/v1"


def test_the_default_needs_nothing() -> None:
    embedder, extractor, decider = models_from(ModelSettings())
    assert isinstance(embedder, WordLlamaEmbedder)
    assert isinstance(extractor, OfflineExtractor)
    assert isinstance(decider, OfflineDecider)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"llm_provider": "openai"}, "llm_api_key .* MEMFOLD_MODELS__LLM_API_KEY or OPENAI_API_KEY"),
        ({"embedder_provider": "openai"}, "embedder_api_key .* MEMFOLD_MODELS__EMBEDDER_API_KEY"),
        ({"llm_provider": "hal"}, "llm_provider is 'hal'; known are offline, langchain, openai"),
        ({"embedder_provider": "hal"}, "MEMFOLD_MODELS__EMBEDDER_PROVIDER"),
        ({"llm_provider": "openai", "llm_base_url": LOCAL}, "MEMFOLD_MODELS__LLM_MODEL"),
        ({"embedder_provider": "openai", "embedder_base_url": LOCAL}, "MEMFOLD_MODELS__EMBEDDER_MODEL"),
        (
            {"embedder_provider": "openai", "embedder_base_url": LOCAL, "embedder_model": "m"},
            "MEMFOLD_MODELS__EMBEDDER_DIMENSIONS",
        ),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], named: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InvalidInput, match=named):
        models_from(ModelSettings.model_validate(settings))


def test_the_services_own_variable_holds_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    embedder = embedder_from(ModelSettings(embedder_provider="openai"))
    assert embedder.model == "openai/text-embedding-3-small"
    assert embedder.dimensions == EMBEDDINGS["openai"].dimensions


async def test_the_services_key_goes_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, server: OpenAIServer
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    models = ModelSet(*models_from(settings_for(server)))
    await models.extractor.extract(said("I like coffee"))
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer none"]
    await models.close()


async def test_a_given_key_is_sent_and_not_shown() -> None:
    async with OpenAIServer(api_key="sk-mine") as server:
        settings = settings_for(server, llm_api_key="sk-mine", embedder_api_key=SecretStr("sk-mine"))
        models = ModelSet(*models_from(settings))
        assert (await models.extractor.extract(said("I like coffee"))).facts
        assert (await models.embedder.embed(["I like coffee"])).any()
        assert "sk-mine" not in repr(settings)
        await models.close()


@pytest.mark.parametrize(
    "wrong", [{"timeout_seconds": 0}, {"json_mode": "yaml"}, {"embedder_dimensions": 0}, {"llm": "openai"}]
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ModelSettings.model_validate(wrong)
