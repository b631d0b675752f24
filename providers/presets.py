"""Which models a deployment uses: settings in, models out. A provider is a row of the table, not a class."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from memfold.memory.errors import InvalidInput
from memfold.memory.ports import DecisionMaker, Embedder, FactExtractor
from memfold.providers.json_answers import JsonMode
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.providers.wordllama_embedder import WordLlamaEmbedder

VARIABLE = "MEMFOLD_MODELS__{}"


class Preset(NamedTuple):
    """An OpenAI-compatible service: its address, where its key is looked for, and what it is asked by default."""

    base_url: str
    key_variable: str
    llm_model: str
    json_mode: JsonMode
    embedder_model: str
    embedder_dimensions: int


OFFLINE = "offline"
PRESETS: Mapping[str, Preset] = {
    "openai": Preset(
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        llm_model="gpt-4o-mini",
        json_mode="schema",
        embedder_model="text-embedding-3-small",
        embedder_dimensions=1536,
    ),
}


class ModelSettings(BaseModel):
    """Which models to use. Unset fields are filled from the provider's preset; `offline` needs none of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    llm_provider: str = Field(default=OFFLINE, description="offline, or a preset: openai.")
    llm_model: str | None = None
    llm_base_url: str | None = Field(
        default=None, description="Any OpenAI-compatible endpoint, with its /v1."
    )
    llm_api_key: SecretStr | None = None
    json_mode: JsonMode | None = Field(
        default=None, description="How the endpoint is told to answer in JSON."
    )
    embedder_provider: str = Field(default=OFFLINE, description="offline, or a preset: openai.")
    embedder_model: str | None = None
    embedder_base_url: str | None = None
    embedder_api_key: SecretStr | None = None
    embedder_dimensions: int | None = Field(default=None, ge=1, le=16_384)
    timeout_seconds: float = Field(default=60.0, gt=0, description="For each attempt of a model call.")


def models_from(settings: ModelSettings) -> tuple[Embedder, FactExtractor, DecisionMaker]:
    """The three models. Loads and asks nothing yet. Raises InvalidInput naming the field and the variable to set."""
    embedder = embedder_from(settings)
    if settings.llm_provider == OFFLINE:
        return embedder, OfflineExtractor(), OfflineDecider()
    # openai takes half a second to import, which the offline default need not pay.
    from memfold.providers.chat import ChatModel
    from memfold.providers.endpoint import Endpoint
    from memfold.providers.openai_decider import OpenAIDecider
    from memfold.providers.openai_extractor import OpenAIExtractor

    preset = _preset("llm_provider", settings.llm_provider)
    base_url = settings.llm_base_url or preset.base_url
    if settings.llm_model is None and base_url != preset.base_url:
        raise _missing("llm_model", f"{base_url} has models of its own")
    endpoint = Endpoint(
        settings.llm_provider,
        settings.llm_model or preset.llm_model,
        base_url,
        _key("llm_api_key", settings.llm_api_key, base_url, preset),
        settings.timeout_seconds,
    )
    model = ChatModel(endpoint, settings.json_mode or preset.json_mode)
    return embedder, OpenAIExtractor(model), OpenAIDecider(model)


def embedder_from(settings: ModelSettings) -> Embedder:
    """The embedder alone, for who only searches. Raises InvalidInput as `models_from` does."""
    if settings.embedder_provider == OFFLINE:
        return WordLlamaEmbedder()
    from memfold.providers.endpoint import Endpoint
    from memfold.providers.openai_embedder import OpenAIEmbedder

    preset = _preset("embedder_provider", settings.embedder_provider)
    base_url = settings.embedder_base_url or preset.base_url
    if settings.embedder_model is None and base_url != preset.base_url:
        raise _missing("embedder_model", f"{base_url} has models of its own")
    if settings.embedder_dimensions is None and settings.embedder_model not in {None, preset.embedder_model}:
        raise _missing("embedder_dimensions", f"{settings.embedder_model} does not tell its own")
    endpoint = Endpoint(
        settings.embedder_provider,
        settings.embedder_model or preset.embedder_model,
        base_url,
        _key("embedder_api_key", settings.embedder_api_key, base_url, preset),
        settings.timeout_seconds,
    )
    return OpenAIEmbedder(endpoint, settings.embedder_dimensions or preset.embedder_dimensions)


@runtime_checkable
class _Connected(Protocol):
    async def close(self) -> None: ...


async def close_models(*models: Embedder | FactExtractor | DecisionMaker) -> None:
    """Gives up the connections of those models that hold any."""
    for model in models:
        if isinstance(model, _Connected):
            await model.close()


def _preset(field: str, name: str) -> Preset:
    if name not in PRESETS:
        raise InvalidInput(
            f"{field} is {name!r}; known are {', '.join([OFFLINE, *PRESETS])}; set {VARIABLE.format(field.upper())}"
        )
    return PRESETS[name]


def _key(field: str, given: SecretStr | None, base_url: str, preset: Preset) -> str:
    """The key that was given; the preset's own variable only at the preset's own address, so that no key goes elsewhere."""
    if given is not None:
        return given.get_secret_value()
    if base_url != preset.base_url:
        return "none"
    key = os.environ.get(preset.key_variable)
    if not key:
        raise _missing(field, f"{base_url} asks for one", preset.key_variable)
    return key


def _missing(field: str, why: str, *others: str) -> InvalidInput:
    variables = " or ".join([VARIABLE.format(field.upper()), *others])
    return InvalidInput(f"{field} is not set, and {why}; set {variables}")
