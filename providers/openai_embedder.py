"""Embeddings by an OpenAI-compatible endpoint, checked before they are believed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct

from memfold.memory.ports import Vectors
from memfold.providers.breaker import BreakerState
from memfold.providers.endpoint import Question, Reply
from memfold.providers.json_answers import UnusableAnswer
from memfold.providers.openai_endpoint import OpenAIEndpoint
from memfold.providers.services import EXTRA_EMBEDDING, extra
from memfold.providers.vectors import unit_rows

AT_ONCE = 96
"""Texts in one request: the least that a service documents as its most (Cohere)."""


class _Row(Struct):
    embedding: list[float] | str
    index: int | None = None


class _Usage(Struct):
    prompt_tokens: int = 0


class _Response(Struct):
    data: list[_Row]
    usage: _Usage | None = None


class OpenAIEmbedder:
    """The `Embedder` over /v1/embeddings. Rows are made unit vectors here, whatever the endpoint sends.

    NaN, infinity, another number of dimensions or of rows is refused. Blank text, which endpoints do not accept, gets the
    first unit vector without a call.
    """

    def __init__(self, endpoint: OpenAIEndpoint, dimensions: int) -> None:
        self._endpoint = endpoint
        self._dimensions = dimensions

    @property
    def model(self) -> str:
        return f"{self._endpoint.provider}/{self._endpoint.model}"

    @property
    def dimensions(self) -> int:
        return self._dimensions

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, float32, shape (len(texts), dimensions). Raises ModelUnavailable after bounded attempts."""
        rows = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        said = [number for number, text in enumerate(texts) if text.strip()]
        rows[[number for number, text in enumerate(texts) if not text.strip()], :1] = 1.0
        for start in range(0, len(said), AT_ONCE):
            some = said[start : start + AT_ONCE]
            rows[some] = await self._embed([texts[number] for number in some])
        return rows

    @property
    def breaker(self) -> BreakerState:
        return self._endpoint.breaker

    async def close(self) -> None:
        await self._endpoint.close()

    async def _embed(self, texts: list[str]) -> Vectors:
        added = extra(self._endpoint.quirks, EXTRA_EMBEDDING)

        async def send() -> Reply:
            # encoding_format: the client would ask for base64, which several compatible servers answer wrongly.
            created = self._endpoint.client.embeddings.with_raw_response.create
            response = await created(
                model=self._endpoint.model, input=texts, encoding_format="float", extra_body=added
            )
            return Reply(response.text)

        question = Question("embedding", hashlib.sha256(msgspec.json.encode(texts)).hexdigest())
        vectors, _ = await self._endpoint.ask(
            question, send, lambda reply: unit_rows(_rows(reply.answer), len(texts), self._dimensions)
        )
        return vectors


def _rows(body: str) -> list[list[float]]:
    try:
        # Not msgspec's decoder: a server's NaN has to be named as what it is.
        data = msgspec.convert(json.loads(body), _Response).data
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"the response holds no embeddings ({error}): {body[:200]!r}") from error
    return [_numbers(row.embedding) for row in sorted(data, key=lambda row: row.index or 0)]


def _numbers(embedding: list[float] | str) -> list[float]:
    """The numbers; some servers send base64 of little-endian float32, asked for or not."""
    if not isinstance(embedding, str):
        return embedding
    try:
        packed = base64.b64decode(embedding, validate=True)
        return [float(number) for number in np.frombuffer(packed, "<f4")]
    except ValueError as error:
        raise UnusableAnswer(f"an embedding is text that is no base64 of float32: {error}") from error
