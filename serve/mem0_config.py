"""A configuration as Mem0 writes it, read into memfold's settings: what has an effect, what has none and why, what is refused.

`Memory.from_config({"llm": {"provider": "groq", "config": {"model": "..."}}})`. Where nothing is said of `llm` or `embedder`
the offline models are used, not OpenAI's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memfold.memory.errors import InvalidInput
from memfold.providers.services import SERVICES

ALIASES = {
    "openai_structured": "openai",
    "azure_openai_structured": "azure_openai",
    "google": "gemini",
    "google_ai": "gemini",
}
IGNORED = {
    "vector_store": "vectors are kept in LanceDB in the home, a projection of the log that can be rebuilt",
    "graph_store": "relations are kept as RDF in the home, a projection of the log; they are found in the call that finds facts",
    "history_db_path": "the log itself is the history; `history` and `memfold history` read it",
    "reranker": "memories are ranked by the vector projection alone",
    "version": "results always have the shape of v1.1",
    "enable_graph": "relations are always found",
}
_LLM_IGNORED = frozenset(
    {
        "top_p",
        "top_k",
        "enable_vision",
        "vision_details",
        "http_client_proxies",
        "models",
        "route",
        "site_url",
    }
    | {"app_name", "store", "is_reasoning_model", "reasoning_effort", "default_headers", "response_callback"}
)
_EMBEDDER_IGNORED = frozenset(
    {"model_kwargs", "http_client_proxies", "output_dimensionality", "memory_add_embedding_type"}
    | {"memory_update_embedding_type", "memory_search_embedding_type"}
)


class IgnoredSetting(UserWarning):
    """Something in a Mem0 configuration has no effect in memfold. Do: nothing, or leave it out."""


class Part(BaseModel):
    """A provider and what is set about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)


class GraphPart(Part):
    llm: Part | None = None
    custom_prompt: str | None = None
    threshold: float | None = None


class MemoryConfig(BaseModel):
    """Mem0's configuration. Fields that it has and memfold has no use for are accepted and named in one warning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    llm: Part = Part()
    embedder: Part = Part()
    vector_store: Part | None = None
    graph_store: GraphPart | None = None
    reranker: Part | None = None
    history_db_path: str | None = None
    version: Literal["v1.0", "v1.1"] | None = None
    enable_graph: bool | None = None
    custom_fact_extraction_prompt: str | None = None
    custom_update_memory_prompt: str | None = None
    custom_prompt: str | None = Field(
        default=None, description="The older name of custom_fact_extraction_prompt."
    )

    def settings(self) -> dict[str, Any]:
        """What it says, as memfold's setting `models`. Raises InvalidInput naming the field; warns once of what has no effect."""
        ignored = [f"{name} ({why})" for name, why in IGNORED.items() if getattr(self, name) is not None]
        models = dict(_llm(self.llm, ignored)) | dict(_embedder(self.embedder, ignored))
        if self.custom_prompt is not None and self.custom_fact_extraction_prompt is not None:
            raise InvalidInput(
                "custom_prompt is the older name of custom_fact_extraction_prompt; give one of them"
            )
        models["custom_fact_extraction_prompt"] = self.custom_fact_extraction_prompt or self.custom_prompt
        models["custom_update_memory_prompt"] = self.custom_update_memory_prompt
        if ignored:
            warnings.warn(f"without effect: {'; '.join(ignored)}", IgnoredSetting, stacklevel=4)
        return {"models": {name: value for name, value in models.items() if value is not None}}


def settings_of(config: Mapping[str, Any] | MemoryConfig) -> dict[str, Any]:
    """memfold's settings for a Mem0 configuration. Raises InvalidInput naming each field that cannot be accepted."""
    if isinstance(config, MemoryConfig):
        return config.settings()
    try:
        read = MemoryConfig.model_validate(dict(config))
    except ValidationError as wrong:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong.errors()]
        known = ", ".join(MemoryConfig.model_fields)
        raise InvalidInput(f"config: {'; '.join(lines)}. Known are {known}") from None
    return read.settings()


def _llm(part: Part, ignored: list[str]) -> Iterator[tuple[str, Any]]:
    provider = _provider("llm", part)
    yield "llm_provider", provider
    names = {
        "model": "llm_model",
        "api_key": "llm_api_key",
        "temperature": "llm_temperature",
        "max_tokens": "llm_max_tokens",
    }
    yield from _set("llm", part, provider, names, _LLM_IGNORED, ignored)


def _embedder(part: Part, ignored: list[str]) -> Iterator[tuple[str, Any]]:
    provider = _provider("embedder", part)
    yield "embedder_provider", provider
    names = {
        "model": "embedder_model",
        "api_key": "embedder_api_key",
        "embedding_dims": "embedder_dimensions",
    }
    yield from _set("embedder", part, provider, names, _EMBEDDER_IGNORED, ignored)


def _provider(field: str, part: Part) -> str | None:
    if part.provider is None:
        if part.config:
            raise InvalidInput(f"{field}.config is set without {field}.provider; name the provider")
        return None
    name = ALIASES.get(part.provider, part.provider)
    if name not in SERVICES and name not in {"langchain", "offline"}:
        known = ", ".join(["offline", "langchain", *SERVICES])
        raise InvalidInput(f"{field}.provider is {part.provider!r}; known are {known}")
    return name


def _set(
    part_name: str,
    part: Part,
    provider: str | None,
    names: Mapping[str, str],
    unused: frozenset[str],
    ignored: list[str],
) -> Iterator[tuple[str, Any]]:
    """The settings that the fields of a part's config stand for."""
    for name, value in part.config.items():
        field = f"{part_name}.config.{name}"
        if value is None:
            continue
        if name in names:
            yield names[name], _plain(field, value)
        elif name in {"base_url", "openai_base_url", f"{provider}_base_url"}:
            yield f"{part_name}_base_url", _plain(field, value)
        elif name == "azure_kwargs" and provider == "azure_openai":
            yield from _azure(part_name, field, value)
        elif name == "aws_region" and provider == "aws_bedrock":
            yield (
                f"{part_name}_base_url",
                f"https://bedrock-runtime.{_plain(field, value)}.amazonaws.com/openai/v1",
            )
        elif name in unused:
            ignored.append(f"{field} (it is not sent)")
        else:
            known = ", ".join([*names, f"{provider}_base_url", *sorted(unused)])
            raise InvalidInput(f"{field} is not known for {provider}; known are {known}")


def _azure(part_name: str, field: str, given: object) -> Iterator[tuple[str, Any]]:
    names = {
        "azure_deployment": "model",
        "azure_endpoint": "base_url",
        "api_version": "api_version",
        "api_key": "api_key",
    }
    if not isinstance(given, Mapping) or set(given) - set(names):
        raise InvalidInput(f"{field} is {given!r}; it is a dict of {', '.join(names)}")
    for name, value in given.items():
        if name == "azure_endpoint":
            value = f"{str(value).rstrip('/')}/openai/v1"
        yield f"{part_name}_{names[name]}", value


def _plain(field: str, value: object) -> object:
    if not isinstance(value, str | int | float):
        raise InvalidInput(
            f"{field} is a {type(value).__name__}. Models run in memfold's worker, a process of its own: put the object where "
            "the worker can import it and give its path as package.module:name"
        )
    return value
