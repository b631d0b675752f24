"""The settings of the models of a deployment; `memfold config` lists them, docs/providers.md the services to choose from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from memfold.providers.json_answers import JsonMode

OFFLINE = "offline"
MINILM = "minilm"
LANGCHAIN = "langchain"
LONGEST_PROMPT = 32_000


class ModelSettings(BaseModel):
    """Which models to use. Unset fields are filled from the service's row; `offline` needs none of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    llm_provider: str = Field(
        default=OFFLINE, description="offline, langchain, or a service of docs/providers.md."
    )
    llm_model: str | None = Field(
        default=None,
        description="Unset: the service's default. Of langchain: package.module:name of a chat model, or of a function that makes one.",
    )
    llm_base_url: str | None = Field(
        default=None, description="Any OpenAI-compatible endpoint, with its /v1."
    )
    llm_api_key: SecretStr | None = Field(
        default=None, description="Unset: the service's own variable, at the service's own address only."
    )
    llm_api_version: str | None = Field(
        default=None, description="Only where a service has dated versions: azure_openai."
    )
    llm_temperature: float | None = Field(
        default=None, ge=0, le=2, description="Unset: 0, where the service takes one."
    )
    llm_max_tokens: int | None = Field(default=None, ge=1, description="Of one answer. Unset: the service's.")
    json_mode: JsonMode | None = Field(
        default=None, description="How the endpoint is told to answer in JSON."
    )
    facts_from: Literal["users", "everyone"] = Field(
        default="users", description="Whose words become facts: everyone means assistants too."
    )
    custom_fact_extraction_prompt: str | None = Field(
        default=None,
        min_length=1,
        max_length=LONGEST_PROMPT,
        description="In place of memfold's instructions; what data is and the form of the answer stay.",
    )
    custom_update_memory_prompt: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_PROMPT, description="The same for decisions."
    )
    embedder_provider: str = Field(
        default=OFFLINE,
        description="offline (wordllama), minilm (an extra), langchain, or a service of docs/providers.md.",
    )
    embedder_model: str | None = Field(default=None, description="As llm_model.")
    embedder_base_url: str | None = None
    embedder_api_key: SecretStr | None = None
    embedder_api_version: str | None = None
    embedder_dimensions: int | None = Field(default=None, ge=1, le=16_384)
    timeout_seconds: float = Field(default=60.0, gt=0, description="For each attempt of a model call.")
    call_seconds: float = Field(
        default=90.0, gt=0, description="For all attempts of a model call, waits included."
    )
    breaker_failures: int = Field(
        default=5, ge=1, description="Calls in a row that fail before an endpoint is left alone."
    )
    breaker_seconds: float = Field(
        default=30.0, gt=0, description="How long it is left alone before one call tries it again."
    )

    calls_at_once: int = Field(
        default=64,
        ge=1,
        description="Calls of one model that a process has on their way; others wait for their turn. Each worker has as many of its own.",
    )

    @model_validator(mode="after")
    def _prompts_need_a_model(self) -> Self:
        prompts = (self.custom_fact_extraction_prompt, self.custom_update_memory_prompt)
        if self.llm_provider == OFFLINE and any(prompts):
            raise ValueError(
                "the offline models follow rules and no prompts; set llm_provider, or leave the prompts out"
            )
        return self
