"""A local HTTP server that speaks OpenAI's /v1/chat/completions and /v1/embeddings, and misbehaves on command.

It knows the golden example and nothing else: other sentences become facts without relations. Embeddings are wordllama's.
In a test: `async with OpenAIServer() as server: ... server.base_url ... server.misbehave("429", times=2)`.
From another process: `python tests/emulator/run.py [--port N]` prints its base URL; POST /emulator/misbehave with
{"fault": "500", "times": 2, "seconds": 0.2} orders a fault, GET /emulator/requests tells the number of requests by path.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, get_args

import msgspec
from aiohttp import web

from memfold.providers.wordllama_embedder import WordLlamaEmbedder
from tests.emulator.golden_answers import answer_to

FaultName = Literal[
    "latency", "401", "400", "429", "500", "timeout", "hangup", "not_json",
    "prose", "fence", "thinking", "trailing_comma", "bare_list",
    "truncated", "cut_off", "refusal", "empty", "huge", "unknown_integer",
    "nan", "wrong_dimension", "zero", "too_few",
]  # fmt: skip
FAULTS = frozenset(get_args(FaultName))


class Fault(NamedTuple):
    name: str
    seconds: float = 0.0


class OpenAIServer:
    """The server as an async context manager, on a free port of 127.0.0.1 unless one is given."""

    def __init__(self, port: int = 0, api_key: str | None = None) -> None:
        self.requests: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.latency = 0.0
        self._port = port
        self._api_key = api_key
        self._faults: deque[Fault] = deque()
        self._scripted: deque[str] = deque()
        self._embedder = WordLlamaEmbedder()
        self._closing = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
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

    def will_say(self, text: str, times: int = 1) -> None:
        """The next `times` chat answers are this text, word for word."""
        self._scripted.extend([text] * times)

    async def _order(self, request: web.Request) -> web.Response:
        ordered = await request.json()
        self.misbehave(ordered["fault"], int(ordered.get("times", 1)), float(ordered.get("seconds", 0)))
        return web.json_response({})

    async def _count(self, request: web.Request) -> web.Response:
        return web.json_response(dict(self.requests))

    async def _begin(self, request: web.Request) -> tuple[dict[str, Any], str]:
        """Counts a request, and the fault that it meets; what goes wrong before an answer goes wrong here."""
        self.requests[request.path] += 1
        body: dict[str, Any] = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        fault = self._faults.popleft() if self._faults else Fault("")
        if self._api_key is not None and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            fault = Fault("401")
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
        answer = answer_to(body["messages"][-1]["content"])
        content: str | None = self._scripted.popleft() if self._scripted else _spoilt(answer, fault)
        message = {"role": "assistant", "content": content}
        if fault == "refusal":
            message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
        choice = {"index": 0, "message": message, "finish_reason": "length" if fault == "cut_off" else "stop"}
        completion = {
            "id": "chatcmpl-emulated",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [] if fault == "empty" else [choice],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
        if fault == "hangup":
            return await _hang_up(request, msgspec.json.encode(completion))
        return web.json_response(completion)

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
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        response = {
            "object": "list",
            "data": data[::-1],
            "model": body["model"],
            "usage": {"prompt_tokens": 1},
        }
        return web.json_response(response)


def _spoilt(answer: dict[str, Any], fault: str) -> str:
    """The answer in words, in the form or with the mistake that was ordered."""
    if fault == "unknown_integer":
        for fact in answer.get("facts", []):
            fact["message"] = 99
        for decision in answer.get("decisions", []):
            decision.update(op="DELETE", id=99)
    text = msgspec.json.encode(answer).decode()
    forms = {
        "prose": f'Sure! Here is what I found [as JSON]:\n{text}\nLet me know if {{you}} need "more".',
        "fence": f"```json\n{text}\n```",
        "thinking": f"<think>The user wants {{facts}}: []</think>{text}",
        "trailing_comma": text.replace("}]", "},]"),
        "bare_list": msgspec.json.encode(next(iter(answer.values()))).decode(),
        "truncated": text[: len(text) * 2 // 3],
        "huge": " " * 1_000_000 + text,
    }
    return forms.get(fault, text)


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


async def serve(port: int) -> None:
    """Until the process is ended."""
    async with OpenAIServer(port) as server:
        print(server.base_url, flush=True)
        await asyncio.Event().wait()
