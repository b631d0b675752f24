"""One model at an address: asked with time limits, asked again a bounded number of times, left alone when it keeps failing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

import httpx2
import openai

from memfold.memory.errors import ModelUnavailable
from memfold.providers.breaker import Breaker, BreakerState, CircuitOpen
from memfold.providers.json_answers import UnusableAnswer
from memfold.providers.retrying import retrying
from memfold.schemas.records import ModelCall

T = TypeVar("T")

ANSWER_KEPT = 64 * 1024


class Limits(NamedTuple):
    """Seconds for one attempt, and for all attempts of a call with their waits; when the breaker opens, and for how long; how many
    calls may be on their way at once.
    """

    attempt: float = 60.0
    call: float = 90.0
    breaker_failures: int = 5
    breaker_seconds: float = 30.0
    at_once: int = 64


class Question(NamedTuple):
    """What is recorded of a question; `shown` are the ids of the memories that stand in it."""

    purpose: str
    prompt_hash: str
    prompt_version: str = ""
    shown: tuple[str, ...] = ()


class Reply(NamedTuple):
    """What an endpoint sent back, before it is read: its words and what they cost."""

    answer: str
    input_tokens: int = 0
    output_tokens: int = 0


class Endpoint:
    """A model at an address, however it is reached. One circuit breaker for all that ask it.

    `send` makes one request, `read` makes an answer of its reply or raises UnusableAnswer; see retrying.py for what is
    tried again. A wrong key or a refused request is not. A call that fails as a whole counts for the breaker.
    """

    def __init__(self, provider: str, model: str, address: str, limits: Limits) -> None:
        self.provider = provider
        self.model = model
        self.address = address
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.at_once)
        self._breaker = Breaker(f"{model} at {address}", limits.breaker_failures, limits.breaker_seconds)

    @property
    def breaker(self) -> BreakerState:
        """How its circuit breaker stands."""
        return self._breaker.state

    async def ask(
        self, question: Question, send: Callable[[], Awaitable[Reply]], read: Callable[[Reply], T]
    ) -> tuple[T, ModelCall]:
        """The answer and the record of the call. Raises ModelUnavailable, which carries that record.

        It waits for its turn, in order, while `at_once` calls are on their way; no time limit runs meanwhile. `latency_ms` is from
        the first request to the last reply, waits included. While the breaker is open nothing is sent, and the record has no attempts.
        """
        async with self._turns:
            call = _Call(self, question, send, read)
            try:
                answer: T = await self._breaker.guard(lambda: call.made(self._limits))
            except CircuitOpen as refusal:
                raise ModelUnavailable(str(refusal), [call.recorded("circuit breaker open")]) from None
            return answer, call.recorded()

    async def close(self) -> None:
        """Gives up what it holds."""


class _Call(Generic[T]):
    """One question on its way: how often it was asked, and the last reply that came."""

    def __init__(
        self,
        endpoint: Endpoint,
        question: Question,
        send: Callable[[], Awaitable[Reply]],
        read: Callable[[Reply], T],
    ) -> None:
        self._endpoint, self._question, self._send, self._read = endpoint, question, send, read
        self._asked = time.perf_counter()
        self._attempts = 0
        self._reply = Reply("")

    async def made(self, limits: Limits) -> T:
        """Raises ModelUnavailable when no attempt gave a usable answer, or the time for all of them is up."""
        budget = asyncio.timeout(limits.call)
        try:
            async with budget:
                return await retrying(limits.call)(self._attempt, limits.attempt)
        except (openai.OpenAIError, UnusableAnswer, TimeoutError) as error:
            why = _why(error, limits.call if budget.expired() else limits.attempt)
            raise ModelUnavailable(
                f"{self._endpoint.model} at {self._endpoint.address} gave no usable {self._question.purpose} "
                f"in {self._attempts} attempts: {why}",
                [self.recorded(why)],
            ) from error

    async def _attempt(self, seconds: float) -> T:
        self._attempts += 1
        async with asyncio.timeout(seconds):
            self._reply = await self._send()
        return self._read(self._reply)

    def recorded(self, error: str = "") -> ModelCall:
        return ModelCall(
            purpose=self._question.purpose,
            provider=self._endpoint.provider,
            model=self._endpoint.model,
            prompt_hash=self._question.prompt_hash,
            answer=_cut(self._reply.answer),
            input_tokens=self._reply.input_tokens,
            output_tokens=self._reply.output_tokens,
            latency_ms=(time.perf_counter() - self._asked) * 1000,
            attempts=self._attempts,
            error=error,
            prompt_version=self._question.prompt_version,
            shown=list(self._question.shown),
        )


def _why(error: Exception, seconds: float) -> str:
    if isinstance(error.__cause__, httpx2.ConnectTimeout):
        # The client calls a refused connection a time-out too; its cause says which.
        return f"no connection: {error.__cause__}"[:500]
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, openai.APIStatusError):
        return f"HTTP {error.status_code}: {error.message[:500]}"
    return str(error)[:500]


def _cut(answer: str) -> str:
    return answer.encode(errors="replace")[:ANSWER_KEPT].decode(errors="ignore")
