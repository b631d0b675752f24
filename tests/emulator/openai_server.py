"""A local HTTP server that speaks OpenAI's chat/completions, responses and embeddings, and Cohere's rerank, and misbehaves on command.

It knows the golden example and nothing else, unless it is given other `answers`: other sentences become facts without
relations. Embeddings are wordllama's.
In a test: `async with OpenAIServer() as server: ... server.base_url ... server.misbehave("429", times=2)`. With `plays` it
has the quirks of a service (services.py).
From another process: `python tests/emulator/run.py [--port N] [--plays SERVICE]` prints its base URL; POST /emulator/misbehave with
{"fault": "500", "times": 2, "seconds": 0.2} orders a fault, {"mix": {"timeout": 0.1, "500": 0.1}, "seed": 1} makes each request meet
one with these chances, {"latency": 0.2} slows every answer; GET /emulator/requests tells the number of requests by path.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from aiohttp import web

from memfold.providers.wordllama_embedder import WordLlamaEmbedder
from tests.emulator.faults import FAULTS, Fault, spoilt
from tests.emulator.faults import FaultName as FaultName
from tests.emulator.golden_answers import answer_to
from tests.emulator.services import PLAIN, PLAYED, Played

Answers = Callable[[str], dict[str, Any]]
"""What the model says to the user's part of a prompt."""


class OpenAIServer:
    """The server as an async context manager, on a free port of 127.0.0.1 unless one is given."""

    def __init__(
        self, port: int = 0, api_key: str | None = None, plays: Played = PLAIN, answers: Answers = answer_to
    ) -> None:
        self.requests: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.latency = 0.0
        self._port = port
        self._api_key = api_key
        self._plays = plays
        self._answers = answers
        self._faults: deque[Fault] = deque()
        self._mix: Mapping[FaultName, float] = {}
        self._chance = random.Random(0)
        self._scripted: deque[str] = deque()
        self._obeyed: dict[str, str] = {}
        self._embedder = WordLlamaEmbedder()
        self._closing = asyncio.Event()
        app = web.Application()
        app.router.add_post("/{prefix:.*}/chat/completions", self._chat)
        app.router.add_post("/{prefix:.*}/responses", self._chat)
        app.router.add_post("/{prefix:.*}/embeddings", self._embeddings)
        app.router.add_post("/{prefix:.*}/rerank", self._rerank)
        app.router.add_post("/emulator/misbehave", self._order)
        app.router.add_get("/emulator/requests", self._count)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def misbehave(self, fault: FaultName, times: int = 1, seconds: float = 0.0) -> None:
        """The next `times` requests meet this fault; `seconds` is the delay of "latency", or Retry-After of "429"."""
        if fault not in FAULTS:
            raise ValueError(f"{fault!r} is no fault; known are {', '.join(sorted(FAULTS))}")
        self._faults.extend([Fault(fault, seconds)] * times)

    def mix(self, chances: Mapping[FaultName, float], seed: int = 0) -> None:
        """From now on each request that meets no ordered fault meets one of these, with its chance; {} ends it."""
        self._mix, self._chance = chances, random.Random(seed)

    def _mixed(self) -> Fault:
        drawn = self._chance.random()
        for name, chance in self._mix.items():
            drawn -= chance
            if drawn < 0:
                return Fault(name)
        return Fault("")

    def will_say(self, text: str, times: int = 1) -> None:
        """The next `times` chat answers are this text, word for word."""
        self._scripted.extend([text] * times)

    def will_obey(self, **answers: str) -> None:
        """From now on every chat answer about `messages`, or about `candidates`, is the given text: an obedient model."""
        self._obeyed = answers

    async def _order(self, request: web.Request) -> web.Response:
        ordered = await request.json()
        if "fault" in ordered:
            self.misbehave(ordered["fault"], int(ordered.get("times", 1)), float(ordered.get("seconds", 0)))
        if "mix" in ordered:
            self.mix(ordered["mix"], int(ordered.get("seed", 0)))
        self.latency = float(ordered.get("latency", self.latency))
        return web.json_response({})

    async def _count(self, request: web.Request) -> web.Response:
        return web.json_response(dict(self.requests))

    async def _begin(self, request: web.Request) -> tuple[dict[str, Any], str]:
        """Counts a request, and the fault that it meets; what goes wrong before an answer goes wrong here."""
        self.requests[request.path] += 1
        body: dict[str, Any] = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        fault = self._faults.popleft() if self._faults else self._mixed()
        if self._api_key is not None and self._plays.key_in(request.headers) != self._api_key:
            fault = Fault("401")
        complaint = self._plays.complaint(request.path, dict(request.query), body)
        if complaint:
            raise web.HTTPBadRequest(
                text=msgspec.json.encode({"error": {"message": complaint}}).decode(),
                content_type="application/json",
            )
        await self._rest(self.latency + (fault.seconds if fault.name == "latency" else 0.0))
        if fault.name == "timeout":
            await self._closing.wait()
        if fault.name == "429":
            raise web.HTTPTooManyRequests(headers={"Retry-After": f"{fault.seconds:g}"}, text='{"error": {}}')
        if fault.name in {"400", "401", "500"}:
            raise {
                "400": web.HTTPBadRequest,
                "401": web.HTTPUnauthorized,
                "500": web.HTTPInternalServerError,
            }[fault.name](text='{"error": {"message": "as ordered"}}', content_type="application/json")
        return body, fault.name

    async def _rest(self, seconds: float) -> None:
        """A delay that ends when the server does."""
        if seconds:
            try:
                await asyncio.wait_for(self._closing.wait(), seconds)
            except TimeoutError:
                return

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body, fault = await self._begin(request)
        if fault == "not_json":
            return web.Response(text="<html>gateway</html>", content_type="text/html")
        prompt = (body.get("messages") or body["input"])[-1]["content"]
        wrapped = self._plays.wrapped(body["model"], self._answer(prompt, fault), fault)
        if fault == "hangup":
            return await _hang_up(request, msgspec.json.encode(wrapped))
        return web.json_response(wrapped)

    def _answer(self, prompt: str, fault: str) -> str:
        if self._scripted:
            return self._scripted.popleft()
        obeyed = self._obeyed.get(prompt.removeprefix("<").partition(">")[0])
        return obeyed or spoilt(self._answers(without_context(prompt)), fault or self._plays.form)

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body, fault = await self._begin(request)
        if fault == "not_json":
            return web.Response(text="<html>gateway</html>", content_type="text/html")
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = (await self._embedder.embed(texts)).tolist()
        if fault == "nan":
            vectors[-1][7] = float("nan")
        elif fault == "wrong_dimension":
            vectors[-1].append(0.5)
        elif fault == "zero":
            vectors[-1] = [0.0] * len(vectors[-1])
        elif fault == "too_few":
            vectors.pop()
        sent = [_packed(vector) for vector in vectors] if self._plays.base64 else vectors
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(sent)]
        response = {
            "object": "list",
            "data": data[::-1],
            "model": body["model"],
            "usage": {"prompt_tokens": 1},
        }
        return web.json_response(response)

    async def _rerank(self, request: web.Request) -> web.StreamResponse:
        """As Cohere, Jina and vLLM answer: best first, by wordllama's cosine."""
        body, fault = await self._begin(request)
        if fault == "not_json":
            return web.Response(text="<html>gateway</html>", content_type="text/html")
        query, *documents = await self._embedder.embed([body["query"], *body["documents"]])
        scores = [max(0.0, float(query @ document)) for document in documents]
        if fault == "nan":
            scores[-1] = float("nan")
        results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
        results.sort(key=lambda one: -one["relevance_score"])
        if fault == "too_few":
            results.pop()
        answer = {"id": "emulated", "model": body["model"], "results": results[: body["top_n"]]}
        if fault == "hangup":
            return await _hang_up(request, msgspec.json.encode(answer))
        return web.json_response(answer)


def without_context(prompt: str) -> str:
    """A prompt without what assistants said, which a perfect model takes no facts from."""
    opening, _, rest = prompt.partition("\n")
    inside, _, closing = rest.rpartition("\n")
    data = msgspec.json.decode(inside)
    if isinstance(data, dict) and "messages" in data:
        data["messages"] = [message for message in data["messages"] if "context" not in message]
    return f"{opening}\n{msgspec.json.encode(data).decode()}\n{closing}"


def _packed(vector: list[float]) -> str:
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


async def _hang_up(request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of the body that was announced, then nothing."""
    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Content-Length": str(len(body))}
    )
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response


async def serve(port: int, plays: str | None = None) -> None:
    """Until the process is ended."""
    async with OpenAIServer(port, plays=PLAYED[plays] if plays else PLAIN) as server:
        print(server.base_url, flush=True)
        await asyncio.Event().wait()
