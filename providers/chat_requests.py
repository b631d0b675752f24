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
    asked: dict[str, Any] = {"model": model, "extra_body": extra(quirks, EXTRA_BODY)}
    if options.temperature is not None or "no_temperature" not in quirks:
        asked["temperature"] = options.temperature or 0
    form = _form(name, schema, options.json_mode, strict="loose_schema" not in quirks)
    if "responses" in quirks:
        asked["input"], limit = list(messages), "max_output_tokens"
        # The client's /responses has no such argument, for OpenAI's own has `text`; Perplexity's has this one.
        place = asked["extra_body"]
    else:
        asked["messages"], place = list(messages), asked
        limit = "max_completion_tokens" if "max_completion_tokens" in quirks else "max_tokens"
    if form is not None:
        place["response_format"] = form
    if options.max_tokens is not None:
        asked[limit] = options.max_tokens
    return asked


def _form(name: str, schema: dict[str, Any], mode: JsonMode, strict: bool) -> dict[str, Any] | None:
    """The form of the answer; None where words alone ask for it."""
    if mode == "text":
        return None
    if mode == "object":
        return {"type": "json_object"}
    described = {"name": name, "schema": schema} | ({"strict": True} if strict else {})
    return {"type": "json_schema", "json_schema": described}
