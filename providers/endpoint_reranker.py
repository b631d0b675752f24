"""How far memories answer a question, by a cross-encoder at an endpoint: POST /rerank as Cohere, Jina and vLLM's server speak it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Sequence

import httpx2
import msgspec
from msgspec import Struct

from memfold.memory.errors import InvalidInput
from memfold.memory.reranking import Reranking
from memfold.providers.breaker import BreakerState
from memfold.providers.endpoint import Limits, Question, Reply
from memfold.providers.json_answers import UnusableAnswer
from memfold.providers.openai_endpoint import Access, OpenAIEndpoint
from memfold.providers.reranker_settings import RerankerSettings


class _One(Struct):
    index: int
    relevance_score: float


class _Response(Struct):
    results: list[_One]


class EndpointReranker:
    """The `Reranker` over /rerank: every memory in one request, whole; the server cuts what is too long for its model."""

    def __init__(self, endpoint: OpenAIEndpoint) -> None:
        self._endpoint = endpoint

    @property
    def model(self) -> str:
        return self._endpoint.model

    async def rerank(self, question: str, memories: Sequence[str]) -> Sequence[float]:
        """Raises ModelUnavailable after bounded attempts, also for an answer that is not about exactly these memories."""
        if not memories:
            return []
        body = {"model": self.model, "query": question, "documents": [*memories], "top_n": len(memories)}

        async def send() -> Reply:
            response = await self._endpoint.client.post("/rerank", cast_to=httpx2.Response, body=body)
            return Reply(response.text)

        asked = Question("reranking", hashlib.sha256(msgspec.json.encode(body)).hexdigest())
        relevance, _ = await self._endpoint.ask(
            asked, send, lambda reply: scores_in(reply.answer, len(memories))
        )
        return relevance

    @property
    def breaker(self) -> BreakerState:
        return self._endpoint.breaker

    async def close(self) -> None:
        await self._endpoint.close()


def scores_in(body: str, count: int) -> list[float]:
    """The relevance, 0 to 1, of each of `count` memories; of an answer with scores outside that, which are logits, their logistic.

    Raises UnusableAnswer for an index that was not sent, twice or not at all, and for a score that is no number.
    """
    try:
        # Not msgspec's decoder: a server's NaN has to be named as what it is.
        results = msgspec.convert(json.loads(body), _Response).results
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"the response holds no ranking ({error}): {body[:200]!r}") from error
    found = {one.index: one.relevance_score for one in results}
    if len(results) != count or found.keys() != set(range(count)):
        raise UnusableAnswer(
            f"it ranks {sorted(one.index for one in results)[:20]} where {count} memories were sent"
        )
    scores = [found[place] for place in range(count)]
    if not all(map(math.isfinite, scores)):
        raise UnusableAnswer("a relevance is not a finite number")
    if all(0 <= score <= 1 for score in scores):
        return scores
    return [(1 + math.tanh(score / 2)) / 2 for score in scores]


def endpoint_reranking_from(settings: RerankerSettings) -> tuple[Reranking, Callable[[], Awaitable[None]]]:
    """The re-ranking by an endpoint, and what closes its connections. Raises InvalidInput naming the variable to set."""
    if settings.base_url is None or settings.model is None:
        missing = "base_url" if settings.base_url is None else "model"
        raise InvalidInput(
            f"reranker.provider is endpoint, and reranker.{missing} is not set; set MEMFOLD_RERANKER__{missing.upper()}"
        )
    key = settings.api_key.get_secret_value() if settings.api_key else "none"
    limits = Limits(settings.seconds, settings.seconds)
    endpoint = OpenAIEndpoint("endpoint", settings.model, Access(settings.base_url, key), limits)
    reranker = EndpointReranker(endpoint)
    return Reranking(reranker, settings.top, settings.strict), reranker.close
