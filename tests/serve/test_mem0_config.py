"""Mem0's way to write a configuration: what it becomes, what is warned of, what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from memfold import AsyncMemory, IgnoredSetting, Memory, MemoryConfig
from memfold.memory.errors import InvalidInput
from memfold.providers.model_settings import ModelSettings
from memfold.providers.presets import models_from
from memfold.serve.mem0_config import IGNORED, settings_of
from memfold.serve.settings import settings_from
from tests.emulator.openai_server import OpenAIServer
from tests.emulator.services import PLAYED
from tests.providers.conftest import ModelSet
from tests.providers.saying import said


def models_of(config: dict[str, Any]) -> ModelSettings:
    """The settings of the models; a warning is an error here."""
    return settings_from(**settings_of(config)).models


def test_nothing_said_is_the_offline_default() -> None:
    assert models_of({}) == ModelSettings()


def test_a_provider_with_its_config() -> None:
    models = models_of(
        {
            "llm": {
                "provider": "openai",
                "config": {
                    "model": "gpt-6-luna",
                    "api_key": "sk-mine",
                    "temperature": 0.2,
                    "max_tokens": 2000,
                    "openai_base_url": "http://127.0.0.1:9/v1",
                },
            },
            "embedder": {
                "provider": "ollama",
                "config": {
                    "model": "nomic-embed-text",
                    "embedding_dims": 768,
                    "ollama_base_url": "http://127.0.0.1:8/v1",
                },
            },
            "custom_fact_extraction_prompt": "Only food.",
            "custom_update_memory_prompt": "Always ADD.",
        }
    )
    assert (models.llm_provider, models.llm_model, models.llm_base_url) == (
        "openai",
        "gpt-6-luna",
        "http://127.0.0.1:9/v1",
    )
    assert models.llm_api_key is not None
    assert models.llm_api_key.get_secret_value() == "sk-mine"
    assert (models.llm_temperature, models.llm_max_tokens) == (0.2, 2000)
    assert (models.embedder_provider, models.embedder_dimensions) == ("ollama", 768)
    assert models.embedder_base_url == "http://127.0.0.1:8/v1"
    assert models.custom_fact_extraction_prompt == "Only food."
    assert models.custom_update_memory_prompt == "Always ADD."


def test_what_says_what_is_done_anyway_is_not_warned_of() -> None:
    assert models_of({"version": "v1.1", "enable_graph": True}) == ModelSettings()


def test_a_key_stands_in_no_error_and_no_representation() -> None:
    azure = {"api_key": "sk-secret", "azure_endpoint": object()}
    config = {"llm": {"provider": "azure_openai", "config": {"azure_kwargs": azure}}}
    with pytest.raises(InvalidInput, match=r"azure_kwargs\.azure_endpoint is a object") as refused:
        settings_of(config)
    assert "sk-secret" not in str(refused.value)
    assert "sk-secret" not in repr(MemoryConfig.model_validate(config))


def test_the_older_name_of_the_prompt() -> None:
    config = {"llm": {"provider": "groq"}, "custom_prompt": "Only food."}
    assert models_of(config).custom_fact_extraction_prompt == "Only food."


def test_azure_and_bedrock_as_mem0_writes_them() -> None:
    azure = {
        "azure_deployment": "mine",
        "azure_endpoint": "https://mine.openai.azure.com/",
        "api_version": "2024-10-21",
        "api_key": "k",
    }
    models = models_of({"llm": {"provider": "azure_openai_structured", "config": {"azure_kwargs": azure}}})
    assert (models.llm_provider, models.llm_model, models.llm_api_version) == (
        "azure_openai",
        "mine",
        "2024-10-21",
    )
    assert models.llm_base_url == "https://mine.openai.azure.com/openai/v1"
    models = models_of({"llm": {"provider": "aws_bedrock", "config": {"aws_region": "eu-central-1"}}})
    assert models.llm_base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1"


def test_what_has_no_effect_is_named_in_one_warning() -> None:
    config = {
        "llm": {"provider": "groq", "config": {"top_p": 0.1}},
        "vector_store": {"provider": "qdrant", "config": {"host": "localhost"}},
        "graph_store": {"provider": "neo4j", "config": {"url": "bolt://x"}, "custom_prompt": "x"},
        "reranker": {"provider": "cohere"},
        "history_db_path": "/tmp/history.db",
        "version": "v1.0",
        "enable_graph": False,
    }
    with pytest.warns(IgnoredSetting) as caught:
        memory = AsyncMemory.from_config(config, home="/nowhere")
    (warning,) = caught
    assert all(name in str(warning.message) for name in IGNORED)
    assert "llm.config.top_p" in str(warning.message)
    assert warning.filename == __file__
    assert memory._settings.models.llm_provider == "groq"
    assert str(memory._settings.home) == "/nowhere"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"llm": {"provider": "hal"}}, "llm.provider is 'hal'; known are offline, langchain, openai"),
        ({"embedder": {"provider": "hal"}}, "embedder.provider is 'hal'"),
        ({"llm": {"config": {"model": "m"}}}, "llm.config is set without llm.provider"),
        (
            {"llm": {"provider": "groq", "config": {"modle": "m"}}},
            "llm.config.modle is not known for groq; known are model",
        ),
        (
            {"llm": {"provider": "groq", "config": {"ollama_base_url": "x"}}},
            "llm.config.ollama_base_url is not known for groq",
        ),
        ({"llm": {"provider": "langchain", "config": {"model": object()}}}, "package.module:name"),
        (
            {"llm": {"provider": "azure_openai", "config": {"azure_kwargs": {"deployment": "x"}}}},
            "llm.config.azure_kwargs.deployment is not known",
        ),
        ({"llm": "openai"}, "config: llm: Input should be a valid dictionary"),
        ({"lmm": {}}, "lmm: Extra inputs are not permitted. Known are llm, embedder"),
        ({"custom_prompt": "Only food."}, "the offline models follow rules and no prompts"),
        ({"version": "v2"}, "version: Input should be 'v1.0' or 'v1.1'"),
        ({"custom_prompt": "a", "custom_fact_extraction_prompt": "b"}, "give one of them"),
    ],
)
def test_what_cannot_be_accepted_is_named(config: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        Memory.from_config(config)


@pytest.mark.parametrize(
    ("config", "variable"),
    [
        ({"llm": {"provider": "groq", "config": {"temperature": 7}}}, "MEMFOLD_MODELS__LLM_TEMPERATURE"),
        (
            {"embedder": {"provider": "openai", "config": {"embedding_dims": "many"}}},
            "MEMFOLD_MODELS__EMBEDDER_DIMENSIONS",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_variable(config: dict[str, Any], variable: str) -> None:
    with pytest.raises(InvalidInput, match=variable):
        Memory.from_config(config)


async def test_switching_a_provider_is_configuration_only() -> None:
    for name in ("openai", "anthropic", "perplexity"):
        async with OpenAIServer(api_key="sk-mine", plays=PLAYED[name]) as server:
            config = {
                "llm": {
                    "provider": name,
                    "config": {"model": "m", "api_key": "sk-mine", f"{name}_base_url": server.base_url},
                }
            }
            models = ModelSet(*models_from(models_of(config)))
            assert (await models.extractor.extract(said("I like coffee"))).facts
            await models.close()


def test_a_config_object_is_as_good_as_a_dict() -> None:
    config = MemoryConfig.model_validate({"llm": {"provider": "ollama"}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Memory.from_config(config)._memory._settings.models.llm_provider == "ollama"


def test_a_reranker_as_mem0_writes_it() -> None:
    nested = {
        "provider": "ollama",
        "config": {"model": "llama3.2", "ollama_base_url": "http://127.0.0.1:8/v1"},
    }
    for part in (
        {"provider": "llm_reranker", "config": {"top_k": 30, "llm": nested}},
        {
            "provider": "llm",
            "config": {"top": 30, "provider": "ollama", "model": "llama3.2", "llm": nested, "strict": False},
        },
    ):
        found = settings_of({"reranker": part})["reranker"]
        assert found.pop("strict", False) is False
        assert found == {
            "provider": "llm",
            "top": 30,
            "llm_provider": "ollama",
            "llm_model": "llama3.2",
            "llm_base_url": "http://127.0.0.1:8/v1",
        }
    with pytest.warns(IgnoredSetting, match=r"reranker\.config\.max_tokens"):
        settings_of({"reranker": {"provider": "llm", "config": {"max_tokens": 100}}})
    for config, named in (
        ({"topk": 3}, "reranker.config.topk is not known"),
        ({"model": "gpt"}, "without its provider"),
        ({"llm": "gpt"}, "reranker.config.llm is a str"),
    ):
        with pytest.raises(InvalidInput, match=named):
            settings_of({"reranker": {"provider": "llm", "config": config}})
