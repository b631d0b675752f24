"""The settings of the re-ranker; docs/recall.md says what it is for."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class RerankerSettings(BaseModel):
    """Off unless a provider is named. A cross-encoder is asked at an endpoint: none comes as a package with its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Literal["off", "llm", "endpoint"] = Field(
        default="off",
        description="What reads the best memories with the question. llm: a chat model; endpoint: a cross-encoder at `base_url`/rerank.",
    )
    top: int = Field(default=20, ge=2, le=100, description="So many of the best are read.")
    strict: bool = Field(
        default=False, description="A search fails when it does, instead of giving the ranking's own order."
    )
    seconds: float = Field(
        default=10.0, gt=0, description="For all attempts; then the ranking's own order stands."
    )
    llm_provider: str | None = Field(default=None, description="Unset: the chat model of `models`.")
    llm_model: str | None = None
    llm_base_url: str | None = None
    llm_api_key: SecretStr | None = None
    model: str | None = Field(default=None, description="The cross-encoder's name at its endpoint.")
    base_url: str | None = Field(
        default=None,
        description="Of an endpoint that speaks Cohere's /rerank, as Jina's and vLLM's do: `http://localhost:8000/v1`.",
    )
    api_key: SecretStr | None = Field(default=None, description="Of that endpoint, where it asks for one.")
