"""A soak: single-message commands at a steady rate into three brokers and two workers, which are killed in turn, each by its recorded pid.

Afterwards the checks of tests/serve/checks.py, what people would be told, and the memory of the workers. `make soak` is the long one.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from memfold import AsyncMemory
from memfold.infra.stack_file import State, running_stack
from memfold.memory.errors import BrokerUnreachable, NotVisibleYet, NotWritten, WriteUnknown
from memfold.serve.running import status_now
from memfold.serve.settings import Settings
from tests.infra.kafka_cluster import Cluster, running_cluster
from tests.serve.checks import everything_holds, settled, the_log_verifies
from tests.serve.stacks import running_in

WORKERS = ("worker-1", "worker-2")
_ON_THEIR_WAY = 400
_CATCH_UP = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` commands a second for `seconds`; a worker is killed every `kill_worker` seconds, a broker every `kill_broker`; 0: never."""

    seconds: float
    rate: float
    kill_worker: float = 60.0
    kill_broker: float = 300.0
    users: int = 500
    sample: float = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident bytes of each worker with what it started, `at` seconds after the beginning; how far the roles were behind."""

    at: float
    resident: dict[str, int]
    lag: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.resident.values())


@dataclass(slots=True)
class Soaked:
    """What came of it."""

    plan: Plan
    acknowledged: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    """How often each command of the log counts, by its id."""
    repeated: int = 0
    """Adds that gave no clear answer and were said again."""
    written_in: float = 0.0
    settled_in: float = 0.0
    worker_kills: int = 0
    broker_kills: int = 0
    samples: list[Sample] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.acknowledged) / self.written_in

    def memory(self) -> tuple[float, float]:
        """Mean of the workers' resident bytes in the middle third and in the last one; only of moments when all of them ran."""
        whole = [one for one in self.samples if len(one.resident) == len(WORKERS)]
        third = self.plan.seconds / 3
        middle = [one.total for one in whole if third <= one.at < 2 * third]
        last = [one.total for one in whole if one.at >= 2 * third]
        assert min(len(middle), len(last)), (
            "too short: in a third of it there was no moment when all workers ran"
        )
        return sum(middle) / len(middle), sum(last) / len(last)


@dataclass(frozen=True, slots=True)
class Place:
    """The cluster and the stack that are shaken."""

    cluster: Cluster
    settings: Settings


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Three brokers, replication 3, two in sync; two workers that share four partitions."""
    with running_cluster(folder / "kafka", 3, {"default.replication.factor": 3}) as cluster:
        given: dict[str, Any] = {"bootstrap_servers": cluster.bootstrap, "replication": 3, "min_insync": 2}
        with running_in(folder / "home", workers=len(WORKERS), patience=120.0, **given) as settings:
            yield Place(cluster, settings)


async def soak(place: Place, plan: Plan, told: Callable[[str], None] = print) -> Soaked:
    """Write, kill, and check. Raises AssertionError naming what does not hold."""
    soaked = Soaked(plan)
    await settled(place.settings)
    began = time.monotonic()
    beside = [
        asyncio.create_task(_sampling(place.settings, soaked, began, told)),
        asyncio.create_task(_each(plan.kill_worker, lambda: _worker_killed(place.settings, soaked))),
        asyncio.create_task(_each(plan.kill_broker, lambda: _broker_killed(place.cluster, soaked))),
    ]
    try:
        expected = await _written(place.settings, soaked)
    finally:
        for task in beside:
            task.cancel()
        done, _ = await asyncio.wait(beside)
    for task in done:
        if not task.cancelled():
            task.result()
    soaked.written_in = time.monotonic() - began
    told(
        f"{len(soaked.acknowledged):,} acknowledged in {soaked.written_in:.0f} s, {soaked.repeated} said again"
    )
    await asyncio.to_thread(_whole, place.cluster)
    await settled(place.settings, _CATCH_UP)
    soaked.settled_in = time.monotonic() - began - soaked.written_in
    told(f"caught up {soaked.settled_in:.1f} s later; now the checks")
    await _told_once(place.settings, expected)
    soaked.counted = await everything_holds(place.settings, soaked.acknowledged, _CATCH_UP)
    await asyncio.to_thread(the_log_verifies, place.settings)
    return soaked


async def _written(settings: Settings, soaked: Soaked) -> dict[str, int]:
    """Adds in their turn of the clock; how many of each user. At most so many are on their way: who is slow is not asked for more."""
    plan, turns = soaked.plan, asyncio.Semaphore(_ON_THEIR_WAY)
    users = [f"soaked-{number}" for number in range(plan.users)]
    expected = dict.fromkeys(users, 0)
    began = time.monotonic()
    async with (
        AsyncMemory(home=settings.home, patience=settings.patience) as memory,
        asyncio.TaskGroup() as adds,
    ):

        async def one(number: int) -> None:
            user = users[number % plan.users]
            try:
                soaked.acknowledged.append(await _add(memory, soaked, user, number))
            finally:
                turns.release()

        number = 0
        while time.monotonic() - began < plan.seconds:
            if (early := began + number / plan.rate - time.monotonic()) > 0:
                await asyncio.sleep(early)
            await turns.acquire()
            adds.create_task(one(number))
            expected[users[number % plan.users]] += 1
            number += 1
    return expected


async def _add(memory: AsyncMemory, soaked: Soaked, user: str, number: int) -> str:
    """Its command id, as soon as it is in the log."""
    said: dict[str, Any] = {"user_id": user, "idempotency_key": f"{user}/{number}"}
    while True:
        try:
            done = await memory.add(f"{user} keeps fact {number}", infer=False, wait=False, **said)
        except (WriteUnknown, NotWritten, NotVisibleYet):
            soaked.repeated += 1
            continue
        return str(done["receipt"]["command_id"])


async def _each(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    while seconds:
        await asyncio.sleep(seconds)
        await act()


async def _worker_killed(settings: Settings, soaked: Soaked) -> None:
    running = _running(settings)
    role = WORKERS[soaked.worker_kills % len(WORKERS)]
    if role in running:
        os.kill(running[role], signal.SIGKILL)
        soaked.worker_kills += 1


async def _broker_killed(cluster: Cluster, soaked: Soaked) -> None:
    """One that the seed chooses; the others are whole before, and it is back before the next."""
    number = random.Random(soaked.broker_kills).choice([node.number for node in cluster.nodes])
    await asyncio.to_thread(_whole, cluster)
    await asyncio.to_thread(cluster.kill, number)
    soaked.broker_kills += 1
    await asyncio.sleep(10)
    await asyncio.to_thread(_whole, cluster)


def _whole(cluster: Cluster) -> None:
    cluster.start()
    cluster.wait_brokers(len(cluster.nodes))
    cluster.wait_in_sync()


def _running(settings: Settings) -> dict[str, int]:
    """The pids of workers that are ready."""
    stack = running_stack(settings.folder)
    assert stack is not None
    return {
        one.role: one.pid
        for one in stack.processes
        if one.role in WORKERS and one.state is State.READY and one.pid is not None
    }


async def _sampling(settings: Settings, soaked: Soaked, began: float, told: Callable[[str], None]) -> None:
    """Memory often; every half minute also how far behind the roles are."""
    number = 0
    while True:
        resident = {
            role: size for role, pid in _running(settings).items() if (size := _resident(pid)) is not None
        }
        at, lag = time.monotonic() - began, dict[str, int]()
        if number % 15 == 14:
            try:
                lag = {role["role"]: role["lag"] for role in (await status_now(settings))["roles"]}
            except BrokerUnreachable as away:
                told(f"{at:.0f} s: {away}")
            mb = ", ".join(f"{role} {size / 1e6:.0f} MB" for role, size in resident.items())
            told(f"{at:.0f} s: {len(soaked.acknowledged):,} acknowledged, behind by {lag}; {mb}")
        soaked.samples.append(Sample(at, resident, lag))
        number += 1
        await asyncio.sleep(soaked.plan.sample)


def _resident(pid: int) -> int | None:
    """Of a process and all that it started; None where it has just ended."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return None


async def _told_once(settings: Settings, expected: dict[str, int]) -> None:
    """What people would be told: of each of them everything, once."""
    async with AsyncMemory(home=settings.home, patience=settings.patience) as memory:
        for user, count in expected.items():
            found = (await memory.get_all(user_id=user, limit=count + 1))["results"]
            texts = {one["memory"] for one in found}
            assert len(found) == len(texts) == count, (
                f"{user} has {len(found)} memories of {count}, {len(texts)} different"
            )
