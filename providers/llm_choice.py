"""Which chat model is meant by its name on a command line."""

from __future__ import annotations

from typing import Any

from memfold.memory.errors import InvalidInput
from memfold.providers.model_settings import LANGCHAIN, OFFLINE, ModelSettings
from memfold.providers.services import SERVICES

DEFAULT = "openai"


def with_llm(
    settings: ModelSettings,
    llm: str | None = None,
    base_url: str | None = None,
    prompt: str | None = None,
    decision_prompt: str | None = None,
) -> ModelSettings:
    """The settings with another chat model and other instructions; what is left out stays as it is.

    `llm`: offline, provider/model, or a model of the configured provider (of OpenAI where that is offline). The configured key
    goes only to the provider and address that it was configured for. Raises InvalidInput.
    """
    update: dict[str, Any] = {} if llm is None else _named(llm, settings)
    if base_url is not None:
        update["llm_base_url"] = base_url
    after = settings.model_copy(update=update)
    if (after.llm_provider, after.llm_base_url) != (settings.llm_provider, settings.llm_base_url):
        update["llm_api_key"] = None
    if after.llm_provider == OFFLINE:
        if prompt or decision_prompt:
            raise InvalidInput(
                "the offline models follow rules and no prompts; name a model with llm (--llm)"
            )
        update |= {"custom_fact_extraction_prompt": None, "custom_update_memory_prompt": None}
    if prompt is not None:
        update["custom_fact_extraction_prompt"] = prompt
    if decision_prompt is not None:
        update["custom_update_memory_prompt"] = decision_prompt
    return settings.model_copy(update=update)


def _named(llm: str, settings: ModelSettings) -> dict[str, Any]:
    provider, slash, model = llm.partition("/")
    if llm == OFFLINE:
        return {"llm_provider": OFFLINE, "llm_model": None, "llm_base_url": None}
    if not llm.strip():
        raise InvalidInput(
            "llm is empty; name offline, provider/model, or a model of the configured provider"
        )
    if provider not in SERVICES and provider != LANGCHAIN:
        # Names of models have slashes too.
        provider, model = (DEFAULT if settings.llm_provider == OFFLINE else settings.llm_provider), llm
    elif not slash:
        model = ""
    same = provider == settings.llm_provider
    return {
        "llm_provider": provider,
        "llm_model": model or None,
        "llm_base_url": settings.llm_base_url if same else None,
        "llm_api_version": settings.llm_api_version if same else None,
    }


def told(settings: ModelSettings) -> str:
    """What a report calls the chat model of these settings."""
    if settings.llm_provider == OFFLINE:
        return "offline rules"
    return "/".join(filter(None, (settings.llm_provider, settings.llm_model)))
