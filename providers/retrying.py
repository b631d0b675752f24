"""Which failures of a model endpoint are tried again, how often, and after which wait."""

from __future__ import annotations

from typing import Any

import openai
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential_jitter,
)

from memfold.providers.json_answers import UnusableAnswer

ATTEMPTS = 3
LONGEST_WAIT = 20.0
"""Seconds. An endpoint that asks for more is not waited for: the subject's later commands stand behind this one."""
_BACKOFF = wait_exponential_jitter(multiplier=0.25, max=4.0, jitter=0.25)


def retrying(seconds: float) -> AsyncRetrying:
    """A time-out, a lost connection, 408, 409, 429, 5xx and nonsense are tried again, at most three times in all.

    A wait that would go past `seconds` from the first attempt is not begun.
    """
    return AsyncRetrying(
        stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(seconds),
        retry=retry_if_exception(_may_pass),
        wait=_wait,
        reraise=True,
    )


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
