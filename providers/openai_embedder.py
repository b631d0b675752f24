"""Embeddings by an OpenAI-compatible endpoint, checked before they are believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct

from memfold.memory.ports import Vectors
from memfold.providers.endpoint import Endpoint, Reply
from memfold.providers.json_answers import UnusableAnswer

AT_ONCE = 256
"""Texts in one request."""


class _Row(Struct):
    embedding: list[float]
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

    def __init__(self, endpoint: Endpoint, dimensions: int) -> None:
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

    async def close(self) -> None:
        await self._endpoint.close()

    async def _embed(self, texts: list[str]) -> Vectors:
        async def send() -> Reply:
            # encoding_format: the client would ask for base64, which several compatible servers answer wrongly.
            created = self._endpoint.client.embeddings.with_raw_response.create
            response = await created(model=self._endpoint.model, input=texts, encoding_format="float")
            return Reply(response.text)

        prompt_hash = hashlib.sha256(msgspec.json.encode(texts)).hexdigest()
        vectors, _ = await self._endpoint.ask(
            "embedding", prompt_hash, send, lambda reply: _vectors(reply.answer, len(texts), self._dimensions)
        )
        return vectors


def _vectors(body: str, count: int, dimensions: int) -> Vectors:
    try:
        # Not msgspec's decoder: a server's NaN has to be named as what it is.
        data = msgspec.convert(json.loads(body), _Response).data
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"the response holds no embeddings ({error}): {body[:200]!r}") from error
    if len(data) != count:
        raise UnusableAnswer(f"{len(data)} vectors for {count} texts")
    ordered = [row.embedding for row in sorted(data, key=lambda row: row.index or 0)]
    lengths = {len(row) for row in ordered} - {dimensions}
    if lengths:
        raise UnusableAnswer(
            f"a vector has {min(lengths)} dimensions, {dimensions} are configured; set embedder_dimensions to what the model gives"
        )
    rows = np.asarray(ordered, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise UnusableAnswer("a vector holds NaN or infinity")
    if not norms.all():
        raise UnusableAnswer("a vector is zero")
    unit: Vectors = (rows / norms).astype(np.float32)
    return unit
