"""Puts one question to a chat model and gives back its text, whatever the endpoint calls JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2
import msgspec
from msgspec import Struct

from memfold.providers.endpoint import Endpoint, Reply
from memfold.providers.json_answers import JsonMode, UnusableAnswer
from memfold.schemas.records import ModelCall

T = TypeVar("T")
LONGEST_BODY = 512 * 1024
"""Bytes of a response; reading stops there, so that an endless answer cannot fill the memory."""


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


class ChatPrompt:
    """Instructions and data for one question; `hash` is the SHA-256 of its messages as JSON, exactly as they are sent."""

    def __init__(
        self, purpose: str, instructions: str, tag: str, data: object, schema: dict[str, Any]
    ) -> None:
        # Escaping "<" keeps what people said from closing the tag around it.
        inside = msgspec.json.encode(data).decode().replace("<", "\\u003c")
        self.purpose = purpose
        self.schema = schema
        self.messages = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": f"<{tag}>\n{inside}\n</{tag}>"},
        ]
        self.hash = hashlib.sha256(msgspec.json.encode(self.messages)).hexdigest()


class ChatModel:
    """A chat model at an endpoint, and how that one is told to answer in JSON."""

    def __init__(self, endpoint: Endpoint, json_mode: JsonMode = "schema") -> None:
        self._endpoint = endpoint
        self._json_mode = json_mode

    async def ask(self, prompt: ChatPrompt, read: Callable[[str], T]) -> tuple[T, ModelCall]:
        """What `read` makes of the answer; it raises UnusableAnswer to have the model asked again.

        Raises ModelUnavailable after bounded attempts, or at once for a wrong key or a refused request.
        """
        return await self._endpoint.ask(
            prompt.purpose, prompt.hash, lambda: self._complete(prompt), lambda reply: read(reply.answer)
        )

    async def close(self) -> None:
        await self._endpoint.close()

    async def _complete(self, prompt: ChatPrompt) -> Reply:
        asked: Any = {"model": self._endpoint.model, "messages": prompt.messages, "temperature": 0}
        if self._json_mode == "schema":
            described = {"name": prompt.purpose, "schema": prompt.schema, "strict": True}
            asked["response_format"] = {"type": "json_schema", "json_schema": described}
        elif self._json_mode == "object":
            asked["response_format"] = {"type": "json_object"}
        completions = self._endpoint.client.chat.completions.with_streaming_response
        body = bytearray()
        try:
            async with completions.create(**asked) as response:
                async for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > LONGEST_BODY:
                        raise UnusableAnswer(f"the response is longer than {LONGEST_BODY} bytes")
        except httpx2.HTTPError as error:
            # The client translates these only up to the headers of a response.
            raise UnusableAnswer(f"the connection broke inside the response: {error!r}") from error
        return _read(bytes(body))


def _read(body: bytes) -> Reply:
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except msgspec.MsgspecError as error:
        raise UnusableAnswer(f"the response is no chat completion ({error}): {body[:200]!r}") from error
    if not completion.choices:
        raise UnusableAnswer("the completion has no choices")
    choice = completion.choices[0]
    if not choice.message.content:
        raise UnusableAnswer(f"the model refused: {(choice.message.refusal or 'no content')[:200]}")
    if choice.finish_reason == "length":
        raise UnusableAnswer("the answer was cut off at the model's limit of tokens")
    usage = completion.usage or _Usage()
    return Reply(choice.message.content, usage.prompt_tokens, usage.completion_tokens)
