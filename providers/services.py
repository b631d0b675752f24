"""The services that speak OpenAI's API, one row each: a provider is a row here, not a class.

Taken from what each service documents in November 2026; docs/providers.md says which row was run against what.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from memfold.providers.json_answers import JsonMode

Quirk = Literal[
    "no_temperature",
    "max_completion_tokens",
    "loose_schema",
    "thinking_off",
    "require_parameters",
    "passage",
    "api_key_header",
    "deployments",
    "responses",
]
QUIRKS: Mapping[Quirk, str] = {
    "no_temperature": "refuses a temperature, so none is sent unless `llm_temperature` asks for one",
    "max_completion_tokens": "takes `llm_max_tokens` under that name",
    "loose_schema": "the schema is sent without `strict`",
    "thinking_off": "thinks before it answers unless told not to; it is told not to",
    "require_parameters": "routes to many hosts; only those that honour the schema are used",
    "passage": "an embedding has to say what it is for: `input_type` is passage",
    "api_key_header": "the key goes into the header `api-key`",
    "deployments": "with `llm_api_version` the dated API is used: a deployment's path, `api-version` in the query",
    "responses": "is asked at /responses, for it has no /chat/completions; the schema stands in `response_format` there too",
}
assert set(QUIRKS) == set(get_args(Quirk))

EXTRA_BODY: Mapping[Quirk, Mapping[str, Any]] = {
    "thinking_off": {"thinking": {"type": "disabled"}},
    "require_parameters": {"provider": {"require_parameters": True}},
}
EXTRA_EMBEDDING: Mapping[Quirk, Mapping[str, Any]] = {"passage": {"input_type": "passage"}}


def extra(quirks: frozenset[Quirk], table: Mapping[Quirk, Mapping[str, Any]]) -> dict[str, Any]:
    """The fields that quirks add to the body of a request."""
    return {name: value for quirk in quirks for name, value in table.get(quirk, {}).items()}


_AZURE: tuple[Quirk, ...] = ("no_temperature", "max_completion_tokens", "api_key_header", "deployments")
_PERPLEXITY: tuple[Quirk, ...] = ("responses", "no_temperature", "loose_schema")
_BEDROCK = "https://bedrock-runtime.{AWS_REGION}.amazonaws.com/openai/v1"
_GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"
_FIREWORKS = "https://api.fireworks.ai/inference/v1"


class Embedding(NamedTuple):
    """What a service embeds with by default. An empty model: the deployment has its own, and settings name it."""

    model: str = ""
    dimensions: int = 0


class Service(NamedTuple):
    """A service: its address, where its key is looked for, and what it is asked by default.

    `{VARIABLE}` in an address stands for that environment variable. An empty key variable: no key is needed. An empty
    model: settings have to name one.
    """

    address: str
    key_variable: str
    model: str
    json_mode: JsonMode
    quirks: frozenset[Quirk]


def _row(address: str, key_variable: str, model: str, json_mode: JsonMode, *quirks: Quirk) -> Service:
    return Service(address, key_variable, model, json_mode, frozenset(quirks))


# fmt: off
SERVICES: Mapping[str, Service] = {
    "openai": _row("https://api.openai.com/v1", "OPENAI_API_KEY", "gpt-6-luna", "schema", "no_temperature", "max_completion_tokens"),
    "azure_openai": _row("{AZURE_OPENAI_ENDPOINT}/openai/v1", "AZURE_OPENAI_API_KEY", "", "schema", *_AZURE),
    "anthropic": _row("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "claude-haiku-5-5", "text", "no_temperature"),
    "groq": _row("https://api.groq.com/openai/v1", "GROQ_API_KEY", "openai/gpt-oss-20b", "schema", "max_completion_tokens"),
    "together": _row("https://api.together.ai/v1", "TOGETHER_API_KEY", "openai/gpt-oss-20b", "schema"),
    "aws_bedrock": _row(_BEDROCK, "AWS_BEARER_TOKEN_BEDROCK", "openai.gpt-oss-20b-1:0", "text"),
    "gemini": _row(_GEMINI, "GEMINI_API_KEY", "gemini-3.5-flash-lite", "schema", "no_temperature"),
    "deepseek": _row("https://api.deepseek.com", "DEEPSEEK_API_KEY", "deepseek-v4-flash", "object", "thinking_off"),
    "mistral": _row("https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral-small-latest", "schema"),
    "xai": _row("https://api.x.ai/v1", "XAI_API_KEY", "grok-4.3", "schema", "max_completion_tokens"),
    "openrouter": _row("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "openai/gpt-oss-20b", "schema", "require_parameters"),
    "fireworks": _row(_FIREWORKS, "FIREWORKS_API_KEY", "accounts/fireworks/models/gpt-oss-20b", "schema"),
    "perplexity": _row("https://api.perplexity.ai/v1", "PERPLEXITY_API_KEY", "perplexity/sonar", "schema", *_PERPLEXITY),
    "cohere": _row("https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY", "command-a-03-2025", "object"),
    "nvidia": _row("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", "openai/gpt-oss-120b", "text", "passage"),
    "huggingface": _row("https://router.huggingface.co/v1", "HF_TOKEN", "openai/gpt-oss-120b", "schema"),
    "ollama": _row("http://localhost:11434/v1", "", "llama3.2", "schema"),
    "lmstudio": _row("http://localhost:1234/v1", "", "", "schema"),
    "vllm": _row("http://localhost:8000/v1", "", "", "schema"),
    "llamacpp": _row("http://localhost:8080/v1", "", "default", "schema"),
    "sambanova": _row("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", "gpt-oss-120b", "object"),
    "cerebras": _row("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "gpt-oss-120b", "schema", "max_completion_tokens"),
}
EMBEDDINGS: Mapping[str, Embedding] = {
    "openai": Embedding("text-embedding-3-small", 1536),
    "azure_openai": Embedding(),
    "together": Embedding(),
    "gemini": Embedding("gemini-embedding-001", 3072),
    "mistral": Embedding("mistral-embed", 1024),
    "openrouter": Embedding("openai/text-embedding-3-small", 1536),
    "fireworks": Embedding("nomic-ai/nomic-embed-text-v1.5", 768),
    "cohere": Embedding("embed-v4.0", 1536),
    "nvidia": Embedding("nvidia/llama-nemotron-embed-1b-v2", 2048),
    "ollama": Embedding("nomic-embed-text", 768),
    "lmstudio": Embedding("text-embedding-nomic-embed-text-v1.5", 768),
    "vllm": Embedding(),
    "llamacpp": Embedding(),
    "sambanova": Embedding(),
}
"""Of the services that have embeddings."""
# fmt: on
