"""Which embedder is meant: by its name on a command line, by what a generation recorded, by what the settings choose."""

from __future__ import annotations

from collections.abc import Mapping

from memfold.memory.errors import InvalidInput
from memfold.providers.model_settings import LANGCHAIN, MINILM, OFFLINE, ModelSettings
from memfold.providers.services import EMBEDDINGS

WORDLLAMA = "wordllama"
_OF_SERVICE = ("embedder_model", "embedder_base_url", "embedder_api_version", "embedder_dimensions")
RECORDED = ("embedder_provider", *_OF_SERVICE)
"""What makes an embedder again. A key is never recorded."""
_UNSET = dict.fromkeys((*_OF_SERVICE, "embedder_api_key"))
KNOWN_DIMENSIONS: Mapping[str, int] = {"text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""Of models that are no service's default, as OpenAI documents them."""


def chosen(settings: ModelSettings) -> bool:
    """Whether somebody has said which embedder it shall be; else what is served is followed."""
    return not settings.model_fields_set.isdisjoint(RECORDED)


def to_record(settings: ModelSettings) -> dict[str, str | int]:
    """The settings that make the embedder again, without its key."""
    return {name: value for name, value in settings.model_dump(include=set(RECORDED)).items() if value}


def as_recorded(recorded: Mapping[str, str | int], settings: ModelSettings) -> ModelSettings:
    """The settings with the embedder that was recorded. A key goes only to the provider and address that it was given for."""
    wanted = _UNSET | {"embedder_provider": OFFLINE} | dict(recorded)
    of = ("embedder_provider", "embedder_base_url")
    if all(getattr(settings, name) == wanted[name] for name in of) or not chosen(settings):
        del wanted["embedder_api_key"]
    return settings.model_copy(update=wanted)


def name_of(settings: ModelSettings) -> str:
    """What `--embedder` takes for the embedder of these settings."""
    if settings.embedder_provider == OFFLINE:
        return WORDLLAMA
    if settings.embedder_provider == MINILM:
        return MINILM
    default = EMBEDDINGS.get(settings.embedder_provider)
    return f"{settings.embedder_provider}/{settings.embedder_model or (default.model if default else '')}"


def named(name: str, settings: ModelSettings, dimensions: int | None = None) -> ModelSettings:
    """The settings with the embedder of that name: wordllama, minilm, a model of OpenAI, or provider/model.

    What the settings choose already is taken with its address and key. Raises InvalidInput.
    """
    first, _, model = name.partition("/")
    if first in (WORDLLAMA, OFFLINE):
        return settings.model_copy(update=_UNSET | {"embedder_provider": OFFLINE})
    if first == MINILM:
        return settings.model_copy(update=_UNSET | {"embedder_provider": MINILM})
    if first not in (*EMBEDDINGS, LANGCHAIN):
        if model or not first.startswith("text-embedding-"):
            raise InvalidInput(
                f"there is no embedder {name!r}; it is {WORDLLAMA}, {MINILM}, a model of OpenAI (text-embedding-3-small), or "
                f"provider/model with one of {', '.join([*EMBEDDINGS, LANGCHAIN])}"
            )
        first, model = "openai", name
    size = {"embedder_dimensions": dimensions} if dimensions else {}
    if settings.embedder_provider == first and model in ("", settings.embedder_model):
        return settings.model_copy(update=size)
    default = EMBEDDINGS.get(first)
    model = model or (default.model if default else "")
    known = default.dimensions if default and model == default.model else KNOWN_DIMENSIONS.get(model)
    update = _UNSET | {
        "embedder_provider": first,
        "embedder_model": model or None,
        "embedder_dimensions": known or None,
    }
    if settings.embedder_provider == first:
        # Another model of the service that is configured: at the same address, with the same key.
        for field in ("embedder_base_url", "embedder_api_key", "embedder_api_version"):
            del update[field]
    return settings.model_copy(update=update | size)
