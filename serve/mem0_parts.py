"""`llm` and `embedder` of a Mem0 configuration, field by field, as the settings that they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from memfold.memory.errors import InvalidInput
from memfold.providers.model_settings import LANGCHAIN, MINILM, OFFLINE
from memfold.providers.services import SERVICES

ALIASES = {
    "openai_structured": "openai",
    "azure_openai_structured": "azure_openai",
    "google": "gemini",
    "google_ai": "gemini",
}


class Part(BaseModel):
    """A provider and what is set about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str | None = None
    config: dict[str, Any] = Field(default_factory=dict, repr=False)


class _Fields(NamedTuple):
    """Fields of a part's config: those that set something, by the setting's name, and those that are accepted and not sent."""

    set: Mapping[str, str]
    unused: frozenset[str]


PARTS: Mapping[str, _Fields] = {
    "llm": _Fields(
        {"model": "model", "api_key": "api_key", "temperature": "temperature", "max_tokens": "max_tokens"},
        frozenset(
            {"top_p", "top_k", "enable_vision", "vision_details", "http_client_proxies", "models", "route"}
            | {"site_url", "app_name", "store", "is_reasoning_model", "reasoning_effort", "default_headers"}
            | {"response_callback"}
        ),
    ),
    "embedder": _Fields(
        {"model": "model", "api_key": "api_key", "embedding_dims": "dimensions"},
        frozenset(
            {"model_kwargs", "http_client_proxies", "output_dimensionality", "memory_add_embedding_type"}
            | {"memory_update_embedding_type", "memory_search_embedding_type"}
        ),
    ),
}
_AZURE = {
    "azure_deployment": "model",
    "azure_endpoint": "base_url",
    "api_version": "api_version",
    "api_key": "api_key",
}


def part_settings(name: Literal["llm", "embedder"], part: Part, ignored: list[str]) -> dict[str, Any]:
    """The settings of a part; what has no effect is added to `ignored`. Raises InvalidInput naming the field."""
    if part.provider is None:
        if part.config:
            raise InvalidInput(f"{name}.config is set without {name}.provider; name the provider")
        return {}
    provider = ALIASES.get(part.provider, part.provider)
    own = [OFFLINE, LANGCHAIN] if name == "llm" else [OFFLINE, MINILM, LANGCHAIN]
    if provider not in SERVICES and provider not in own:
        known = ", ".join([*own, *SERVICES])
        raise InvalidInput(f"{name}.provider is {part.provider!r}; known are {known}")
    found = {f"{name}_provider": provider}
    for field, value in part.config.items():
        if value is not None:
            for setting, given in _settings(name, provider, field, value, ignored):
                found[f"{name}_{setting}"] = given
    return found


def _settings(
    name: str, provider: str, field: str, value: Any, ignored: list[str]
) -> Iterator[tuple[str, Any]]:
    """What one field of the config sets."""
    path, fields = f"{name}.config.{field}", PARTS[name]
    if field in fields.set:
        yield fields.set[field], _plain(path, value)
    elif field in {"base_url", "openai_base_url", f"{provider}_base_url"}:
        yield "base_url", _plain(path, value)
    elif field == "azure_kwargs" and provider == "azure_openai":
        yield from _azure(path, value)
    elif field == "aws_region" and provider == "aws_bedrock":
        yield "base_url", SERVICES[provider].address.replace("{AWS_REGION}", str(_plain(path, value)))
    elif field in fields.unused:
        ignored.append(f"{path} (it is not sent)")
    else:
        known = ", ".join([*fields.set, f"{provider}_base_url", *sorted(fields.unused)])
        raise InvalidInput(f"{path} is not known for {provider}; known are {known}")


def _azure(path: str, given: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{path} is a {type(given).__name__}; it is a dict of {', '.join(_AZURE)}")
    for field, value in given.items():
        if field not in _AZURE:
            raise InvalidInput(f"{path}.{field} is not known; known are {', '.join(_AZURE)}")
        plain = _plain(f"{path}.{field}", value)
        yield _AZURE[field], f"{str(plain).rstrip('/')}/openai/v1" if field == "azure_endpoint" else plain


def _plain(path: str, value: object) -> object:
    if not isinstance(value, str | int | float):
        raise InvalidInput(
            f"{path} is a {type(value).__name__}. Models run in memfold's worker, a process of its own: put the object where "
            "the worker can import it and give its path as package.module:name"
        )
    return value
