"""How the emulated server plays each service: what it refuses, wants, and answers in. Taken from what they document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

KNOWN = frozenset({"model", "messages", "input", "temperature", "max_tokens", "max_completion_tokens",
                   "max_output_tokens", "response_format", "encoding_format"})  # fmt: skip


class Played(NamedTuple):
    """A service. `refuses` are fields of the body that it answers with 400; any that it does not know it refuses too."""

    refuses: frozenset[str] = frozenset()
    wants: Mapping[str, Any] = {}
    embedding_wants: Mapping[str, Any] = {}
    forms: frozenset[str] = frozenset({"json_schema", "json_object"})
    strict: bool = True
    key_header: str = "Authorization"
    api_version: str = ""
    responses: bool = False
    form: str = ""
    embeds: bool = False
    base64: bool = False
    most_texts: int = 256

    def key_in(self, headers: Mapping[str, str]) -> str:
        return headers.get(self.key_header, "").removeprefix("Bearer ")

    def complaint(self, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> str:
        """What the service says of a request that it does not accept; empty if it does."""
        if query.get("api-version", "") != self.api_version:
            return "Resource not found: api-version"
        if path.endswith("/rerank"):
            return ""
        embedding = path.endswith("/embeddings")
        if embedding and not self.embeds:
            return "there is no such endpoint"
        if not embedding and path.endswith("/responses") != self.responses:
            return "Sonar is now the Agent API" if self.responses else "there is no such endpoint"
        wants = self.embedding_wants if embedding else self.wants
        unknown = sorted(set(body) - (KNOWN - self.refuses) - set(wants))
        if unknown:
            return f"Unsupported parameter: {unknown[0]!r} is not supported with this model"
        if embedding and len(body["input"]) > self.most_texts:
            return f"at most {self.most_texts} texts at once"
        missing = [name for name, value in wants.items() if body.get(name) != value]
        return f"{missing[0]!r} is required" if missing else self._about_form(body)

    def _about_form(self, body: Mapping[str, Any]) -> str:
        form = body.get("response_format", {})
        kind = form.get("type")
        if kind and kind not in self.forms:
            return f"response_format {kind!r} is not supported"
        schema = form.get("json_schema", {})
        if kind == "json_schema" and "schema" not in schema:
            return "response_format has no schema"
        return "strict must not be set" if schema.get("strict") and not self.strict else ""

    def wrapped(self, model: str, content: str | None, fault: str) -> dict[str, Any]:
        """The model's words as the service sends them."""
        refusal = "I cannot help with that." if fault == "refusal" else None
        if self.responses:
            part = (
                {"type": "refusal", "refusal": refusal}
                if refusal
                else {"type": "output_text", "text": content}
            )
            output = [
                {"type": "reasoning", "content": []},
                {"type": "message", "role": "assistant", "content": [part]},
            ]
            status = "incomplete" if fault == "cut_off" else "completed"
            usage = {"input_tokens": 100, "output_tokens": 10}
            return {"id": "resp-emulated", "object": "response", "model": model, "status": status,
                    "output": output[:1] if fault == "empty" else output, "usage": usage}  # fmt: skip
        message = {"role": "assistant", "content": None if refusal else content, "refusal": refusal}
        choice = {"index": 0, "message": message, "finish_reason": "length" if fault == "cut_off" else "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return {"id": "chatcmpl-emulated", "object": "chat.completion", "created": 0, "model": model,
                "choices": [] if fault == "empty" else [choice], "usage": usage}  # fmt: skip


PLAIN = Played(embeds=True)
_REASONS = frozenset({"temperature", "max_tokens"})
_OBJECT = frozenset({"json_object"})
_NO_FORM = frozenset({"response_format"})

PLAYED: Mapping[str, Played] = {
    "openai": Played(refuses=_REASONS, embeds=True),
    "azure_openai": Played(refuses=_REASONS, key_header="api-key", embeds=True),
    # It ignores response_format; the emulation refuses it, to show that nothing relies on it.
    "anthropic": Played(refuses=_NO_FORM | {"temperature"}, form="fence"),
    "groq": Played(refuses=frozenset({"max_tokens"})),
    "together": Played(embeds=True),
    "aws_bedrock": Played(refuses=_NO_FORM, form="reasoning"),
    "gemini": Played(refuses=frozenset({"temperature"}), embeds=True),
    "deepseek": Played(forms=_OBJECT, wants={"thinking": {"type": "disabled"}}),
    "mistral": Played(embeds=True),
    "xai": Played(refuses=frozenset({"max_tokens"})),
    "openrouter": Played(wants={"provider": {"require_parameters": True}}, embeds=True),
    "fireworks": Played(embeds=True),
    "perplexity": Played(refuses=frozenset({"temperature"}), responses=True, strict=False),
    "cohere": Played(forms=_OBJECT, form="trailing_comma", embeds=True, most_texts=96),
    "nvidia": Played(refuses=_NO_FORM, form="prose", embedding_wants={"input_type": "passage"}, embeds=True),
    "huggingface": Played(),
    "ollama": Played(form="thinking", embeds=True),
    "lmstudio": Played(forms=frozenset({"json_schema"}), form="thinking", embeds=True, base64=True),
    "vllm": Played(form="thinking", embeds=True),
    "llamacpp": Played(form="thinking", embeds=True, base64=True),
    "sambanova": Played(forms=_OBJECT, embeds=True),
    "cerebras": Played(refuses=frozenset({"max_tokens"})),
}
AZURE_DATED = Played(refuses=_REASONS, key_header="api-key", api_version="2024-10-21", embeds=True)
