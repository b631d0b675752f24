"""From settings to a chat model or an embedder at an endpoint, by the row of its service."""

from __future__ import annotations

import importlib.util
import os
import re

from pydantic import SecretStr

from memfold.memory.errors import InvalidInput
from memfold.memory.ports import Embedder
from memfold.providers.chat import Chat, ChatModel
from memfold.providers.chat_requests import ChatOptions
from memfold.providers.endpoint import Limits
from memfold.providers.model_settings import LANGCHAIN, MINILM, OFFLINE, ModelSettings
from memfold.providers.openai_embedder import OpenAIEmbedder
from memfold.providers.openai_endpoint import Access, OpenAIEndpoint
from memfold.providers.services import EMBEDDINGS, SERVICES, Service

VARIABLE = "MEMFOLD_MODELS__{}"
_PLACEHOLDER = re.compile(r"{(\w+)}")


def chat_from(settings: ModelSettings) -> Chat:
    """The chat model. Raises InvalidInput naming the field and the variable to set."""
    if settings.llm_provider == LANGCHAIN:
        _need_langchain("llm_provider")
        from memfold.providers.langchain_models import chat_named

        return chat_named(_own_model("llm_model", settings.llm_model), _limits(settings))
    name = settings.llm_provider
    service = _service("llm_provider", name)
    access = _access("llm", service, settings.llm_base_url, settings.llm_api_key, settings.llm_api_version)
    model = _model("llm_model", settings.llm_model, service.model, service, settings.llm_base_url)
    options = ChatOptions(
        settings.json_mode or service.json_mode, settings.llm_temperature, settings.llm_max_tokens
    )
    return ChatModel(OpenAIEndpoint(name, model, access, _limits(settings)), options)


def remote_embedder_from(settings: ModelSettings) -> Embedder:
    """The embedder at an endpoint. Raises InvalidInput naming the field and the variable to set."""
    name, dimensions = settings.embedder_provider, settings.embedder_dimensions
    if name == LANGCHAIN:
        _need_langchain("embedder_provider")
        from memfold.providers.langchain_models import embedder_named

        model = _own_model("embedder_model", settings.embedder_model)
        if dimensions is None:
            raise _missing("embedder_dimensions", f"{model} does not tell its own")
        return embedder_named(model, dimensions, _limits(settings))
    service = _service("embedder_provider", name)
    if name not in EMBEDDINGS:
        raise InvalidInput(
            f"embedder_provider is {name!r}, which has no embeddings; set {VARIABLE.format('EMBEDDER_PROVIDER')} to "
            f"one of {', '.join([OFFLINE, MINILM, LANGCHAIN, *EMBEDDINGS])}; llm_provider need not be the same"
        )
    given = settings.embedder_base_url
    access = _access("embedder", service, given, settings.embedder_api_key, settings.embedder_api_version)
    default = EMBEDDINGS[name]
    model = _model("embedder_model", settings.embedder_model, default.model, service, given)
    if dimensions is None and model != default.model:
        raise _missing("embedder_dimensions", f"{model} does not tell its own")
    endpoint = OpenAIEndpoint(name, model, access, _limits(settings))
    return OpenAIEmbedder(endpoint, dimensions or default.dimensions)


def _limits(settings: ModelSettings) -> Limits:
    return Limits(
        settings.timeout_seconds,
        settings.call_seconds,
        settings.breaker_failures,
        settings.breaker_seconds,
        settings.calls_at_once,
    )


def _service(field: str, name: str) -> Service:
    if name not in SERVICES:
        known = ", ".join([OFFLINE, LANGCHAIN, *SERVICES])
        raise InvalidInput(
            f"{field} is {name!r}; known are {known}; set {VARIABLE.format(field.upper())}. Any other "
            f"OpenAI-compatible endpoint: the service most like it, with its own base_url"
        )
    return SERVICES[name]


def _access(
    part: str, service: Service, base_url: str | None, key: SecretStr | None, api_version: str | None
) -> Access:
    address = base_url or _address(f"{part}_base_url", service)
    shown = key.get_secret_value() if key is not None else _own_key(f"{part}_api_key", service, base_url)
    return Access(address, shown, service.quirks, api_version)


def _address(field: str, service: Service) -> str:
    """The service's own address, with the variables in it filled in."""

    def value(placeholder: re.Match[str]) -> str:
        found = os.environ.get(placeholder[1], "").rstrip("/")
        if not found:
            raise _missing(field, f"the address is {service.address}", placeholder[1])
        return found

    return _PLACEHOLDER.sub(value, service.address)


def _is_own(base_url: str | None, service: Service) -> bool:
    """Whether an address is the service's own, whatever region stands in it."""
    if base_url is None:
        return True
    pattern = "[a-z0-9-]+".join(re.escape(text) for text in _PLACEHOLDER.split(service.address)[::2])
    return re.fullmatch(pattern, base_url) is not None


def _own_key(field: str, service: Service, base_url: str | None) -> str:
    """The key in the service's own variable; only at the service's own address, so that no key goes elsewhere."""
    if not _is_own(base_url, service) or not service.key_variable:
        return "none"
    key = os.environ.get(service.key_variable)
    if not key:
        raise _missing(field, f"{service.address} asks for one", service.key_variable)
    return key


def _model(field: str, given: str | None, default: str, service: Service, base_url: str | None) -> str:
    if given is not None:
        return given
    if not default or not _is_own(base_url, service):
        raise _missing(field, f"{base_url or service.address} has models of its own")
    return default


def _need_langchain(field: str) -> None:
    if importlib.util.find_spec("langchain_core") is None:
        raise InvalidInput(
            f"{field} is langchain, and langchain-core is not installed; pip install 'memfold[langchain]'"
        )


def _own_model(field: str, given: str | None) -> str:
    if given is None:
        raise _missing(field, "langchain takes it from your code, as package.module:name")
    return given


def _missing(field: str, why: str, *others: str) -> InvalidInput:
    variables = " or ".join([VARIABLE.format(field.upper()), *others])
    return InvalidInput(f"{field} is not set, and {why}; set {variables}")
