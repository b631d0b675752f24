"""Puts one question to a chat model and gives back its text, whatever the endpoint calls JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import httpx2
import msgspec

from memfold.memory.prompts import Prompt
from memfold.providers.breaker import BreakerState
from memfold.providers.chat_requests import ChatOptions, chat_request
from memfold.providers.completions import read_completion, read_response
from memfold.providers.endpoint import Question, Reply
from memfold.providers.json_answers import UnusableAnswer
from memfold.providers.openai_endpoint import OpenAIEndpoint
from memfold.schemas.records import ModelCall

T = TypeVar("T")
LONGEST_BODY = 512 * 1024
"""Bytes of a response; reading stops there, so that an endless answer cannot fill the memory."""


class ChatPrompt:
    """Instructions and data for one question; its hash is the SHA-256 of its messages as JSON, exactly as they are sent."""

    def __init__(
        self,
        purpose: str,
        prompt: Prompt,
        tag: str,
        data: object,
        schema: dict[str, Any],
        shown: tuple[str, ...] = (),
    ) -> None:
        # Escaping "<" keeps what people said from closing the tag around it.
        inside = msgspec.json.encode(data).decode().replace("<", "\\u003c")
        self.schema = schema
        self.messages = [
            {"role": "system", "content": prompt.text},
            {"role": "user", "content": f"<{tag}>\n{inside}\n</{tag}>"},
        ]
        hashed = hashlib.sha256(msgspec.json.encode(self.messages)).hexdigest()
        self.question = Question(purpose, hashed, prompt.version, shown)


class Chat(Protocol):
    """What the extractor and the decider ask: a chat model, by whichever client."""

    async def ask(self, prompt: ChatPrompt, read: Callable[[str], T]) -> tuple[T, ModelCall]:
        """What `read` makes of the answer; it raises UnusableAnswer to have the model asked again.

        Raises ModelUnavailable after bounded attempts, or at once for a wrong key, a refused request, an open breaker.
        """
        ...

    @property
    def asks(self) -> tuple[str, str]:
        """Provider and model, as its calls record them."""
        ...

    @property
    def breaker(self) -> BreakerState: ...
    async def close(self) -> None: ...


class ChatModel:
    """A chat model behind an OpenAI-compatible endpoint, asked as its quirks want it."""

    def __init__(self, endpoint: OpenAIEndpoint, options: ChatOptions | None = None) -> None:
        self._endpoint = endpoint
        self._options = options or ChatOptions()

    async def ask(self, prompt: ChatPrompt, read: Callable[[str], T]) -> tuple[T, ModelCall]:
        return await self._endpoint.ask(
            prompt.question, lambda: self._complete(prompt), lambda reply: read(reply.answer)
        )

    @property
    def asks(self) -> tuple[str, str]:
        return self._endpoint.provider, self._endpoint.model

    @property
    def breaker(self) -> BreakerState:
        return self._endpoint.breaker

    async def close(self) -> None:
        await self._endpoint.close()

    async def _complete(self, prompt: ChatPrompt) -> Reply:
        quirks, purpose = self._endpoint.quirks, prompt.question.purpose
        asked: Any = chat_request(
            self._endpoint.model, prompt.messages, purpose, prompt.schema, self._options, quirks
        )
        if "responses" in quirks:
            responses = self._endpoint.client.responses.with_streaming_response
            return read_response(await _body(responses.create(**asked)))
        completions = self._endpoint.client.chat.completions.with_streaming_response
        return read_completion(await _body(completions.create(**asked)))


async def _body(responding: Any) -> bytes:
    """The bytes of a response. Raises UnusableAnswer when it is too long or breaks off."""
    body = bytearray()
    try:
        async with responding as response:
            async for chunk in response.iter_bytes():
                body += chunk
                if len(body) > LONGEST_BODY:
                    raise UnusableAnswer(f"the response is longer than {LONGEST_BODY} bytes")
    except httpx2.HTTPError as error:
        # The client translates these only up to the headers of a response.
        raise UnusableAnswer(f"the connection broke inside the response: {error!r}") from error
    return bytes(body)
