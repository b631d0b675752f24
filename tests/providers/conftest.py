"""The models under test, offline and behind the emulated endpoint, each made from settings as a deployment makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from tenacity import wait_none

from memfold.memory.ports import DecisionMaker, Embedder, FactExtractor
from memfold.providers import retrying
from memfold.providers.presets import ModelSettings, close_models, models_from
from tests.emulator.openai_server import OpenAIServer


class ModelSet(NamedTuple):
    embedder: Embedder
    extractor: FactExtractor
    decider: DecisionMaker

    async def close(self) -> None:
        await close_models(*self)


def settings_for(server: OpenAIServer, **changed: object) -> ModelSettings:
    settings = {
        "llm_provider": "openai",
        "llm_base_url": server.base_url,
        "llm_model": "emulated",
        "embedder_provider": "openai",
        "embedder_base_url": server.base_url,
        "embedder_model": "emulated-embeddings",
        "embedder_dimensions": 256,
        "timeout_seconds": 5.0,
    }
    return ModelSettings.model_validate(settings | changed)


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as running:
        yield running


@pytest.fixture(params=["offline", "openai"])
async def models(request: pytest.FixtureRequest, server: OpenAIServer) -> AsyncIterator[ModelSet]:
    """Both sets of models, one after the other."""
    settings = ModelSettings() if request.param == "offline" else settings_for(server)
    made = ModelSet(*models_from(settings))
    yield made
    await made.close()


@pytest.fixture
async def remote(server: OpenAIServer) -> AsyncIterator[ModelSet]:
    """The models behind the endpoint alone."""
    made = ModelSet(*models_from(settings_for(server)))
    yield made
    await made.close()


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr(retrying, "_BACKOFF", wait_none())
