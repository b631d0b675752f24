"""Any LangChain chat model or embeddings object behind memfold's ports. Needs the extra `memfold[langchain]`.

The model runs in the worker, which is a process of its own, so a setting names where it is made: `package.module:name`.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from memfold.memory.errors import InvalidInput
from memfold.memory.ports import Vectors
from memfold.providers.breaker import BreakerState
from memfold.providers.chat import ChatPrompt
from memfold.providers.endpoint import Endpoint, Limits, Question, Reply
from memfold.providers.json_answers import UnusableAnswer
from memfold.providers.vectors import unit_rows
from memfold.schemas.records import ModelCall

T = TypeVar("T")
PROVIDER = "langchain"


class LangChainChat:
    """A LangChain chat model as what the extractor and the decider ask. JSON is asked for in words."""

    def __init__(self, model: BaseChatModel, name: str, limits: Limits | None = None) -> None:
        self._model = model
        self._endpoint = Endpoint(PROVIDER, name, "langchain", limits or Limits())

    async def ask(self, prompt: ChatPrompt, read: Callable[[str], T]) -> tuple[T, ModelCall]:
        async def send() -> Reply:
            messages = [(message["role"], message["content"]) for message in prompt.messages]
            answer = await _raised_as_unusable(self._model.ainvoke(messages))
            return _reply(answer)

        return await self._endpoint.ask(prompt.question, send, lambda reply: read(reply.answer))

    @property
    def asks(self) -> tuple[str, str]:
        return self._endpoint.provider, self._endpoint.model

    @property
    def breaker(self) -> BreakerState:
        return self._endpoint.breaker

    async def close(self) -> None:
        """LangChain models hold nothing that could be given up."""


class LangChainEmbedder:
    """LangChain embeddings as the `Embedder`. Rows are checked and made unit vectors here."""

    def __init__(
        self, embeddings: Embeddings, name: str, dimensions: int, limits: Limits | None = None
    ) -> None:
        self._embeddings = embeddings
        self._dimensions = dimensions
        self._endpoint = Endpoint(PROVIDER, name, "langchain", limits or Limits())

    @property
    def model(self) -> str:
        return f"{PROVIDER}/{self._endpoint.model}"

    @property
    def dimensions(self) -> int:
        return self._dimensions

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, float32, shape (len(texts), dimensions). Raises ModelUnavailable after bounded attempts."""
        if not texts:
            return np.zeros((0, self._dimensions), dtype=np.float32)
        rows: list[list[float]] = []

        async def send() -> Reply:
            # LangChain refuses nothing blank itself, but the services behind it do.
            asked = [text if text.strip() else "." for text in texts]
            rows[:] = await _raised_as_unusable(self._embeddings.aembed_documents(asked))
            return Reply("")

        question = Question("embedding", hashlib.sha256(msgspec.json.encode(list(texts))).hexdigest())
        vectors, _ = await self._endpoint.ask(
            question, send, lambda _: unit_rows(rows, len(texts), self._dimensions)
        )
        return vectors

    @property
    def breaker(self) -> BreakerState:
        return self._endpoint.breaker

    async def close(self) -> None:
        """LangChain embeddings hold nothing that could be given up."""


def chat_named(path: str, limits: Limits) -> LangChainChat:
    """The chat model at `package.module:name`. Raises InvalidInput."""
    found = _made(path, "llm_model", lambda made: isinstance(made, BaseChatModel), "chat model")
    return LangChainChat(found, path, limits)


def embedder_named(path: str, dimensions: int, limits: Limits) -> LangChainEmbedder:
    """The embeddings at `package.module:name`. Raises InvalidInput."""
    found = _made(path, "embedder_model", lambda made: isinstance(made, Embeddings), "embeddings object")
    return LangChainEmbedder(found, path, dimensions, limits)


def _made(path: str, field: str, fits: Callable[[object], bool], what: str) -> Any:
    """What stands at `package.module:name`, or what the function that stands there makes."""
    module, _, name = path.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as wrong:
        raise InvalidInput(
            f"{field} is {path!r}, which cannot be imported ({wrong}); it must be package.module:name of a LangChain "
            f"{what}, or of a function that makes one, where the worker can import it"
        ) from wrong
    if callable(found) and not fits(found):
        found = found()
    if not fits(found):
        raise InvalidInput(f"{field} is {path!r}, a {type(found).__name__}, which is no LangChain {what}")
    return found


async def _raised_as_unusable(asked: Awaitable[T]) -> T:
    """What an integration raises is of its own making, so whatever it is counts as the model's failure."""
    (answer,) = await asyncio.gather(asked, return_exceptions=True)
    if isinstance(answer, Exception):
        raise UnusableAnswer(f"{type(answer).__name__}: {answer}") from answer
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _reply(answer: AIMessage) -> Reply:
    usage = answer.usage_metadata
    text = answer.text
    if not text:
        raise UnusableAnswer("the model refused: no content")
    return Reply(text, usage["input_tokens"] if usage else 0, usage["output_tokens"] if usage else 0)
