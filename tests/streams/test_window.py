"""The sliding window: whatever the works, their subjects, how long they take and which of them fail, its promises hold.

Time is counted in turns of the event loop: no test sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.streams.window import Limit, Window


class WentWrongError(Exception):
    pass


@dataclass(frozen=True)
class Job:
    subject: int
    size: int = 1
    turns: int = 0
    alone: bool = False


JOBS = st.lists(
    st.builds(
        Job,
        st.integers(0, 3),
        st.integers(1, 6),
        st.integers(0, 9),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=25,
)
LIMITS = st.builds(Limit, st.integers(1, 6), st.integers(1, 15))


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass
class Seen:
    """Works through jobs in a window, and asserts at every step what must hold at every step."""

    jobs: Sequence[Job]
    limit: Limit
    slow_delivery: int = 0
    bad_job: int = -1
    bad_delivery: int = -1
    admitted: list[int] = field(default_factory=list)
    delivered: list[int] = field(default_factory=list)
    running: Counter[int] = field(default_factory=Counter)
    failures: list[BaseException] = field(default_factory=list)
    deliveries: list[int] = field(default_factory=list)

    async def work(self, number: int) -> int:
        job = self.jobs[number]
        assert not self.running[job.subject], "two of one subject at once"
        self.running[job.subject] += 1
        if job.alone:
            assert self.running.total() == 1
            assert self.delivered == list(range(number)), "a barrier waits for all before it"
        earlier = {n for n, each in enumerate(self.jobs[:number]) if each.alone}
        assert earlier <= set(self.delivered), "all after a barrier wait for it"
        try:
            await turns(job.turns)
            if number == self.bad_job:
                raise WentWrongError
        finally:
            self.running[job.subject] -= 1
        return number

    async def deliver(self, results: Sequence[int]) -> None:
        self.deliveries.append(len(results))
        await turns(self.slow_delivery)
        if self.bad_delivery in results:
            raise WentWrongError
        self.delivered += results
        assert self.delivered == list(range(len(self.delivered))), "delivered in order of admission"

    async def run(self) -> None:
        window = Window(self.deliver, self.failures.append, self.limit)
        try:
            for number, job in enumerate(self.jobs):
                admit = window.admit_alone if job.alone else window.admit
                await admit(job.subject, job.size, partial(self.work, number))
                self.admitted.append(number)
                inside = [self.jobs[n] for n in self.admitted if n not in self.delivered]
                assert len(inside) <= self.limit.works
                assert sum(each.size for each in inside) <= self.limit.size or len(inside) == 1
            while len(self.delivered) < len(self.jobs) and not self.failures:  # noqa: ASYNC110 - counts turns
                await asyncio.sleep(0)
        finally:
            await window.close()
            assert not self.running.total(), "nothing runs after close"


@given(JOBS, LIMITS, st.integers(0, 9))
def test_order_turns_bound_and_barrier_hold(jobs: list[Job], limit: Limit, slow_delivery: int) -> None:
    seen = Seen(jobs, limit, slow_delivery)
    asyncio.run(seen.run())
    assert seen.delivered == list(range(len(jobs)))
    assert not seen.failures


@given(JOBS.filter(bool), LIMITS, st.integers(0, 9), st.data())
def test_a_failure_ends_it_with_a_prefix_delivered(
    jobs: list[Job], limit: Limit, slow_delivery: int, data: st.DataObject
) -> None:
    bad = data.draw(st.integers(0, len(jobs) - 1))
    seen = Seen(jobs, limit, slow_delivery)
    if data.draw(st.booleans()):
        seen.bad_job = bad
    else:
        seen.bad_delivery = bad

    # Whoever admits when it fails gets the same error; who has admitted all by then does not.
    with contextlib.suppress(WentWrongError):
        asyncio.run(seen.run())
    assert [type(failure) for failure in seen.failures] == [WentWrongError]
    assert seen.delivered == list(range(len(seen.delivered)))
    assert bad not in seen.delivered


async def test_a_failure_is_told_while_the_first_work_still_runs_which_is_given_up() -> None:
    told: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    given_up = asyncio.Event()

    async def slow() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return 0

    async def bad() -> int:
        raise WentWrongError

    window: Window[int] = Window(_dropped, told.set_result)
    await window.admit("a", 1, slow)
    await window.admit("b", 1, bad)
    assert isinstance(await told, WentWrongError)
    await asyncio.wait_for(given_up.wait(), 10)
    with pytest.raises(WentWrongError):
        await window.admit("c", 1, slow)
    await window.close()


async def test_a_work_that_somebody_cancels_is_a_failure_and_no_silence() -> None:
    told: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def cancelled() -> int:
        raise asyncio.CancelledError

    window: Window[int] = Window(_dropped, told.set_result)
    await window.admit("a", 1, cancelled)
    assert "cancelled from outside" in str(await told)
    await window.close()


async def test_what_is_ready_behind_the_first_is_delivered_with_it() -> None:
    seen = Seen([Job(0, turns=9), *(Job(subject) for subject in range(1, 8))], Limit())
    await seen.run()
    assert seen.deliveries == [8]


async def test_a_close_lets_a_delivery_finish_and_gives_up_what_is_behind_it() -> None:
    begun, end = asyncio.Event(), asyncio.Event()
    delivered: list[int] = []

    async def deliver(results: Sequence[int]) -> None:
        begun.set()
        await end.wait()
        delivered.extend(results)

    async def one() -> int:
        return 1

    async def never() -> int:
        await asyncio.Event().wait()
        return 2

    window: Window[int] = Window(deliver, _unexpected)
    await window.admit("a", 1, one)
    await window.admit("b", 1, never)
    await begun.wait()
    closing = asyncio.create_task(window.close())
    await turns(5)
    assert not closing.done()
    end.set()
    await closing
    assert delivered == [1]


async def _dropped(_: Sequence[int]) -> None:
    raise AssertionError("nothing is ready")


def _unexpected(failure: BaseException) -> None:
    raise AssertionError(failure)
