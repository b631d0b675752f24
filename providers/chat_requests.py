"""The body of one chat request, as the quirks of its service want it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from memfold.providers.json_answers import JsonMode
from memfold.providers.services import EXTRA_BODY, Quirk, extra


class ChatOptions(NamedTuple):
    """What a deployment sets about chat requests. A temperature of None: 0, unless the service refuses one."""

    json_mode: JsonMode = "schema"
    temperature: float | None = None
    max_tokens: int | None = None


def chat_request(
    model: str,
    messages: Sequence[dict[str, str]],
    name: str,
    schema: dict[str, Any],
    options: ChatOptions,
    quirks: frozenset[Quirk],
) -> dict[str, Any]:
    """The arguments of `create`: of chat.completions, or with the quirk `responses` of responses."""
    # All but the model goes as extra_body, which the client sends as it is: what stands in its own arguments it walks through
    # value by value, a quarter of what a request costs.
    body: dict[str, Any] = dict(extra(quirks, EXTRA_BODY))
    if options.temperature is not None or "no_temperature" not in quirks:
        body["temperature"] = options.temperature or 0
    form = _form(name, schema, options.json_mode, strict="loose_schema" not in quirks)
    if form is not None:
        body["response_format"] = form
    asked, limit = ("input", "max_output_tokens") if "responses" in quirks else ("messages", _limit(quirks))
    body[asked] = list(messages)
    if options.max_tokens is not None:
        body[limit] = options.max_tokens
    return {"model": model, asked: [], "extra_body": body}


def _limit(quirks: frozenset[Quirk]) -> str:
    return "max_completion_tokens" if "max_completion_tokens" in quirks else "max_tokens"


def _form(name: str, schema: dict[str, Any], mode: JsonMode, strict: bool) -> dict[str, Any] | None:
    """The form of the answer; None where words alone ask for it."""
    if mode == "text":
        return None
    if mode == "object":
        return {"type": "json_object"}
    described = {"name": name, "schema": schema} | ({"strict": True} if strict else {})
    return {"type": "json_schema", "json_schema": described}
