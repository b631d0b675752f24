"""A circuit breaker for one model endpoint: after so many failures in a row it is left alone for a while.

The states are purgatory's; that only one call goes through while half-open is added here, for purgatory lets all through.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import Context, OpenedState

from memfold.memory.errors import MemfoldError

T = TypeVar("T")
_STATES = {"closed": "closed", "opened": "open", "half-opened": "half-open"}


class BreakerState(NamedTuple):
    """How an endpoint stands. `tried_again_at` is when one call goes through again, None unless it is open."""

    endpoint: str
    state: str
    failures: int
    tried_again_at: datetime | None = None


class CircuitOpen(MemfoldError, ConnectionError):
    """The endpoint failed too often in a row and is left alone. Do: nothing; one call tries it again soon."""


class Breaker:
    """Counts calls that failed as a whole; after `failures` in a row no call goes through for `seconds`, then one.

    If that one succeeds all go through again, else it is left alone for as long again.
    """

    def __init__(self, endpoint: str, failures: int, seconds: float) -> None:
        self._endpoint = endpoint
        self._seconds = seconds
        self._circuits = AsyncCircuitBreakerFactory(failures, seconds)
        self._context: Context | None = None
        self._failures = 0
        self._last = ""
        self._probing = False

    async def guard(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives or raises. Raises CircuitOpen, without calling, while the endpoint is left alone."""
        circuit = await self._circuits.get_breaker(self._endpoint)
        self._context = circuit.context
        if self._probing:
            raise self._refusal("one call is trying it")
        probing = self._probing = circuit.context.state != "closed"
        try:
            async with circuit:
                answer = await self._counted(call)
        except OpenedState:
            raise self._refusal(f"the next call tries it at {self._tried_again_at():%H:%M:%S} UTC") from None
        finally:
            if probing:
                self._probing = False
        if circuit.context.state == "closed":
            # Not while it is open: a call that began before may still succeed.
            self._failures = 0
        return answer

    async def _counted(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except MemfoldError as failure:
            self._failures += 1
            self._last = str(failure)
            raise

    def _refusal(self, until: str) -> CircuitOpen:
        return CircuitOpen(
            f"{self._endpoint} is not asked, its circuit breaker is open: {self._failures} calls in a row failed, {until}; "
            f"the last one said: {self._last}"
        )

    def _tried_again_at(self) -> datetime:
        opened = self._context.opened_at if self._context else None
        return datetime.fromtimestamp((opened or time.time()) + self._seconds, UTC)

    @property
    def state(self) -> BreakerState:
        """How the endpoint stands now."""
        state = _STATES[self._context.state] if self._context else "closed"
        due = self._tried_again_at() if state == "open" else None
        return BreakerState(self._endpoint, state, self._failures, due)
