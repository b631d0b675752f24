"""One OpenAI-compatible endpoint: asked with a time limit, asked again a bounded number of times, and recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import openai
from openai import AsyncOpenAI
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)

from memfold.memory.errors import ModelUnavailable
from memfold.providers.json_answers import UnusableAnswer
from memfold.schemas.records import ModelCall

T = TypeVar("T")

ATTEMPTS = 3
ANSWER_KEPT = 64 * 1024
LONGEST_WAIT = 20.0
"""Seconds. An endpoint that asks for more is not waited for: the subject's later commands stand behind this one."""
_BACKOFF = wait_exponential_jitter(multiplier=0.25, max=4.0, jitter=0.25)


class Reply(NamedTuple):
    """What an endpoint sent back, before it is read: its words and what they cost."""

    answer: str
    input_tokens: int = 0
    output_tokens: int = 0


class Endpoint:
    """A model at an address. The client's own retries are off, so that every attempt is counted here.

    `send` makes one request, `read` makes an answer of its reply or raises UnusableAnswer; both are tried again on a
    time-out, a lost connection, 408, 409, 429, 5xx and nonsense, at most three times with jittered waits. A wrong key or
    a refused request is not tried again.
    """

    def __init__(self, provider: str, model: str, base_url: str, api_key: str, timeout: float) -> None:
        self.provider = provider
        self.model = model
        self.base_url = base_url
        self.client = AsyncOpenAI(base_url=base_url, api_key=api_key, timeout=timeout, max_retries=0)
        self._timeout = timeout

    async def ask(
        self,
        purpose: str,
        prompt_hash: str,
        send: Callable[[], Awaitable[Reply]],
        read: Callable[[Reply], T],
    ) -> tuple[T, ModelCall]:
        """The answer and the record of the call. Raises ModelUnavailable, which carries that record.

        `latency_ms` is from the first request to the last reply, waits included.
        """
        asked = time.perf_counter()
        tried = _Tried()

        def recorded(error: str = "") -> ModelCall:
            return ModelCall(
                purpose=purpose,
                provider=self.provider,
                model=self.model,
                prompt_hash=prompt_hash,
                answer=_cut(tried.reply.answer),
                input_tokens=tried.reply.input_tokens,
                output_tokens=tried.reply.output_tokens,
                latency_ms=(time.perf_counter() - asked) * 1000,
                attempts=tried.attempts,
                error=error,
            )

        async def attempt() -> T:
            tried.attempts += 1
            async with asyncio.timeout(self._timeout):
                tried.reply = await send()
            return read(tried.reply)

        try:
            answer: T = await self._retrying()(attempt)
        except (openai.OpenAIError, UnusableAnswer, TimeoutError) as error:
            why = self._why(error)
            raise ModelUnavailable(
                f"{self.model} at {self.base_url} gave no usable {purpose} in {tried.attempts} attempts: {why}",
                [recorded(why)],
            ) from error
        return answer, recorded()

    async def close(self) -> None:
        """Gives up the connections."""
        await self.client.close()

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            retry=retry_if_exception(_may_pass),
            wait=_wait,
            reraise=True,
        )

    def _why(self, error: Exception) -> str:
        if isinstance(error, TimeoutError | openai.APITimeoutError):
            return f"no answer within {self._timeout:g} s"
        if isinstance(error, openai.APIStatusError):
            return f"HTTP {error.status_code}: {error.message[:500]}"
        return str(error)[:500]


class _Tried:
    """How often it was asked, and the last reply that came."""

    def __init__(self) -> None:
        self.attempts = 0
        self.reply = Reply("")


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, openai.APIStatusError):
        passing = error.status_code in {408, 409, 429} or error.status_code >= 500
        return passing and _retry_after(error) <= LONGEST_WAIT
    return isinstance(error, openai.APIConnectionError | UnusableAnswer | TimeoutError)


def _wait(state: RetryCallState) -> float:
    """What the endpoint asks for in Retry-After, if that is more than the backoff."""
    error = state.outcome.exception() if state.outcome else None
    return max(_BACKOFF(state), _retry_after(error))


def _retry_after(error: BaseException | None) -> float:
    """Seconds of a Retry-After header; 0 without one or if it holds a date, which few send and clocks would bend."""
    if not isinstance(error, openai.APIStatusError):
        return 0.0
    text: Any = error.response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _cut(answer: str) -> str:
    return answer.encode(errors="replace")[:ANSWER_KEPT].decode(errors="ignore")
