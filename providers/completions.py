"""The two forms in which a service wraps a model's words: a chat completion, and a response of /responses."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from memfold.providers.endpoint import Reply
from memfold.providers.json_answers import UnusableAnswer

T = TypeVar("T")


class _Message(Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class _Part(Struct):
    text: str | None = None
    refusal: str | None = None


class _Output(Struct):
    type: str = "message"
    content: list[_Part] | None = None


class _ResponseUsage(Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class _Response(Struct):
    output: list[_Output]
    status: str = "completed"
    usage: _ResponseUsage | None = None


def read_completion(body: bytes) -> Reply:
    """The words of a chat completion. Raises UnusableAnswer for what is none, a refusal, or one that was cut off."""
    completion = _decoded(body, _Completion, "chat completion")
    if not completion.choices:
        raise UnusableAnswer("the completion has no choices")
    choice = completion.choices[0]
    usage = completion.usage or _Usage()
    cut_off = choice.finish_reason == "length"
    words = _words(choice.message.content, choice.message.refusal, cut_off)
    return Reply(words, usage.prompt_tokens, usage.completion_tokens)


def read_response(body: bytes) -> Reply:
    """The words of a response of /responses. Raises as `read_completion`."""
    response = _decoded(body, _Response, "response")
    parts = [part for output in response.output if output.type == "message" for part in output.content or ()]
    content = "".join(part.text or "" for part in parts)
    refusal = "".join(part.refusal or "" for part in parts)
    usage = response.usage or _ResponseUsage()
    words = _words(content, refusal, response.status == "incomplete")
    return Reply(words, usage.input_tokens, usage.output_tokens)


def _decoded(body: bytes, kind: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise UnusableAnswer(f"the response is no {name} ({error}): {body[:200]!r}") from error


def _words(content: str | None, refusal: str | None, cut_off: bool) -> str:
    if cut_off:
        raise UnusableAnswer("the answer was cut off at the model's limit of tokens")
    if not content or not content.strip():
        raise UnusableAnswer(f"the model refused: {(refusal or 'no content')[:200]}")
    return content
