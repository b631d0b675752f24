"""Two worker processes that share the partitions of one home: killed, stopped and started while memories are added and searched."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from memfold import AsyncMemory
from memfold.infra.stack_file import State, running_stack
from memfold.serve.replaying import rebuild_served, rollback_served
from memfold.serve.settings import Settings
from tests.serve.adding import add_until_there
from tests.serve.checks import everything_holds, settled
from tests.serve.owning import owners, shared
from tests.serve.stacks import running_in

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
USERS = 16


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running_in(
        tmp_path_factory.mktemp("two"), workers=2, patience=90.0, subject_rate=1.0, subject_burst=3
    ) as settings:
        yield settings


def pid_of(settings: Settings, role: str) -> int | None:
    stack = running_stack(settings.folder)
    assert stack is not None
    (pid,) = [one.pid for one in stack.processes if one.role == role and one.state is State.READY] or [None]
    return pid


async def add(memory: AsyncMemory, user: str, number: int) -> str:
    return await add_until_there(memory, f"fact {number}", f"{user}/{number}", user_id=user)


async def add_while(settings: Settings, count: int, events: dict[int, Callable[[], None]]) -> list[str]:
    """`count` adds of users in every partition, twenty at a time; at number n, `events[n]`. Each is found, once."""
    users = [f"user-{uuid.uuid4().hex[:8]}" for _ in range(USERS)]
    turns, longest = asyncio.Semaphore(20), [0.0]
    async with AsyncMemory(home=settings.home, patience=90.0) as memory:

        async def one(number: int) -> str:
            async with turns:
                if number in events:
                    events[number]()
                began = time.monotonic()
                done = await add(memory, users[number % USERS], number)
                longest[0] = max(longest[0], time.monotonic() - began)
                return done

        acknowledged = await asyncio.gather(*(one(number) for number in range(count)))
        for mine, user in enumerate(users):
            expected = sorted(f"fact {n}" for n in range(count) if n % USERS == mine)
            listed = await memory.get_all(user_id=user, limit=count)
            assert sorted(found["memory"] for found in listed["results"]) == expected
            assert (await memory.search("fact", user_id=user))["results"]
    print(f"the longest add took {longest[0]:.1f} s")
    return acknowledged


def sent(settings: Settings, role: str, number: int) -> Callable[[], None]:
    def send() -> None:
        pid = pid_of(settings, role)
        assert pid is not None
        os.kill(pid, number)

    return send


async def test_a_worker_is_killed_and_everything_goes_on(two: Settings) -> None:
    before = await shared(two)
    assert all(len(each) == 2 for each in before.values()), before
    acknowledged = await add_while(two, 400, {150: sent(two, "worker-2", signal.SIGKILL)})
    assert set(await shared(two)) != set(before)
    await everything_holds(two, acknowledged)


async def test_the_relations_of_all_partitions_are_found(two: Settings) -> None:
    await shared(two)
    agent = f"agent-{uuid.uuid4().hex[:8]}"
    users = [f"user-{uuid.uuid4().hex[:8]}" for _ in range(USERS)]
    async with AsyncMemory(home=two.home) as memory:
        for user in users:
            await memory.add("I work at Google", user_id=user, agent_id=agent)
        for user in users:
            assert (await memory.relations(user_id=user))["relations"], user
        everybody = await memory.relations(agent_id=agent, limit=100)
    assert len(everybody["relations"]) >= USERS


async def test_a_noisy_user_is_postponed_and_a_quiet_one_is_not(two: Settings) -> None:
    await shared(two)
    noisy, quiet = (f"user-{uuid.uuid4().hex[:8]}" for _ in range(2))
    async with AsyncMemory(home=two.home, patience=90.0) as memory:
        asked = await asyncio.gather(
            *(memory.add(f"I own house number {n} in Rome", user_id=noisy) for n in range(20))
        )
        other = await memory.add("I like coffee", user_id=quiet)
        postponed = [done for done in asked if "degraded" in done]
        assert 0 < len(postponed) < 20
        assert {done["degraded"][:10] for done in postponed} == {"postponed:"}
        assert "degraded" not in other
        # What was said is kept whoever came too fast, and understood when asked for.
        kept = await memory.get_all(user_id=noisy, limit=50)
        assert len([one for one in kept["results"] if one.get("pending")]) == len(postponed)
        assert (await memory.retry(user_id=noisy))["pending"] == 0


async def test_all_workers_go_over_to_another_generation_and_back(two: Settings) -> None:
    await shared(two)
    async with AsyncMemory(home=two.home) as memory:
        user = f"user-{uuid.uuid4().hex[:8]}"
        adding = asyncio.create_task(add_all(memory, user, 200))
        await asyncio.to_thread(rebuild_served, two, ["vector", "graph"], "kafka", lambda _: None)
        await asyncio.to_thread(rollback_served, two, ["vector", "graph"])
        acknowledged = await adding
        assert len((await memory.get_all(user_id=user, limit=500))["results"]) == 200
    await everything_holds(two, acknowledged)


async def add_all(memory: AsyncMemory, user: str, count: int) -> list[str]:
    return [await add(memory, user, number) for number in range(count)]


async def test_a_worker_that_was_stopped_past_its_session_changes_nothing_when_it_returns(
    two: Settings,
) -> None:
    """SIGSTOP until others decide its partitions. Their graph waits, for whoever is stopped keeps the lock of its store."""
    before = await shared(two)
    pid = pid_of(two, "worker-2")
    assert pid in before
    user_of_all = asyncio.create_task(add_while(two, 400, {150: sent(two, "worker-2", signal.SIGSTOP)}))
    try:
        async with asyncio.timeout(150):
            while sum(len(each) for number, each in (await owners(two)).items() if number != pid) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    acknowledged = await user_of_all
    await settled(two)
    await shared(two)
    await everything_holds(two, acknowledged)
