"""Faults, injected for real: processes killed by their recorded pid, records written past memfold, and then every check.

kill -9 is not a power cut: what the kernel had in its page cache survives here.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import Producer

from memfold import AsyncMemory
from memfold.infra.stack_file import running_stack
from memfold.memory.errors import BrokerUnreachable, WriteUnknown
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.schemas.records import LogRecord
from memfold.serve.running import status_now
from memfold.serve.settings import Settings
from tests.serve.adding import add_until_there
from tests.serve.checks import everything_holds, reader_of, records, settled
from tests.serve.stacks import pid_of, running_in

ADDS = 2_000
AT_ONCE = 40


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack of its own, each worker in its own process so that each can be killed alone."""
    with running_in(tmp_path_factory.mktemp("shaken"), separate=True, patience=90.0) as settings:
        yield settings


async def add_through(memory: AsyncMemory, user: str, number: int) -> str:
    return await add_until_there(memory, f"fact {number} of {user}", f"{user}/{number}", user_id=user)


async def add_and_kill(settings: Settings, roles: list[str], seed: int) -> list[str]:
    """2,000 adds of 20 users; each role is killed once, at a moment that the seed chooses."""
    rng = random.Random(seed)
    at = dict(zip(rng.sample(range(ADDS // 5, ADDS * 4 // 5), len(roles)), roles, strict=True))
    users = [f"user-{uuid.uuid4().hex[:8]}" for _ in range(20)]
    turns = asyncio.Semaphore(AT_ONCE)

    async with AsyncMemory(home=settings.home, patience=settings.patience) as memory:

        async def one(number: int) -> str:
            async with turns:
                if number in at:
                    os.kill(pid_of(settings, at[number]), signal.SIGKILL)
                return await add_through(memory, users[number % 20], number)

        acknowledged = await asyncio.gather(*(one(number) for number in range(ADDS)))
        for user in users:
            listed = await memory.get_all(user_id=user, limit=1_000)
            assert len(listed["results"]) == ADDS // 20
            assert len({r["memory"] for r in listed["results"]}) == ADDS // 20
    return acknowledged


ROLES = ["worker-decide", "worker-vector", "worker-graph", "worker-archive", "broker"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "roles",
    [
        pytest.param(["worker-decide", "broker"], id="decide-broker"),
        pytest.param(["worker-vector", "worker-graph", "worker-archive"], id="folds"),
        *(pytest.param([role], id=f"only-{role}", marks=pytest.mark.long) for role in ROLES),
    ],
)
async def test_processes_killed_in_the_middle_of_two_thousand_adds_lose_and_repeat_nothing(
    shaken: Settings, roles: list[str]
) -> None:
    before = {role: pid_of(shaken, role) for role in roles}
    acknowledged = await add_and_kill(shaken, roles, seed=sum(map(len, roles)))
    await everything_holds(shaken, acknowledged)
    restarts = {p["role"]: p["restarts"] for p in (await status_now(shaken))["processes"]}
    for role in roles:
        assert pid_of(shaken, role) != before[role]
        assert restarts[role] >= 1


@pytest.mark.timeout(600)
async def test_a_broker_that_stops_answering_is_told_apart_and_the_repeat_counts_once(
    shaken: Settings,
) -> None:
    """SIGSTOP: the connection stays open, nothing answers. The error names the key with which repeating is safe."""
    user = f"user-{uuid.uuid4().hex[:8]}"
    async with AsyncMemory(home=shaken.home, patience=90.0) as memory:
        await memory.add("before", user_id=user, infer=False)
        broker = pid_of(shaken, "broker")
        os.kill(broker, signal.SIGSTOP)
        try:
            with pytest.raises(WriteUnknown, match=r"may be in the log or not.*idempotency_key=") as unknown:
                await memory.add("in between", user_id=user, infer=False)
        finally:
            os.kill(broker, signal.SIGCONT)
        key = str(unknown.value).partition("idempotency_key='")[2].partition("'")[0]
        done = [
            await memory.add("in between", user_id=user, infer=False, idempotency_key=key) for _ in range(2)
        ]
        assert done[0]["results"] == done[1]["results"]
        listed = [r["memory"] for r in (await memory.get_all(user_id=user))["results"]]
        assert listed == ["before", "in between"]
    await everything_holds(shaken, [done[0]["receipt"]["command_id"]])


def write_past_memfold(settings: Settings, topic: str, partition: int, key: bytes, value: bytes) -> None:
    """Append a record as any producer on the cluster could."""
    stack = running_stack(settings.folder)
    assert stack is not None
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    producer.produce(topic, value, key, partition)
    assert producer.flush(20) == 0


def newest(settings: Settings, topic: str) -> LogRecord:
    found = [record for p in range(settings.partitions) for record in records(reader_of(settings), topic, p)]
    return max(found, key=lambda record: record.timestamp_ms)


async def test_a_command_delivered_twice_counts_once(shaken: Settings) -> None:
    user = f"user-{uuid.uuid4().hex[:8]}"
    async with AsyncMemory(home=shaken.home) as memory:
        await memory.add("said once", user_id=user, infer=False)
        await settled(shaken)
        copy = newest(shaken, COMMANDS)
        for _ in range(3):
            write_past_memfold(shaken, COMMANDS, copy.partition, copy.key, copy.value)
        done = await memory.add("said after", user_id=user, infer=False)
        assert len((await memory.get_all(user_id=user))["results"]) == 2
    await everything_holds(shaken, [done["receipt"]["command_id"]])


@pytest.mark.timeout(600)
async def test_a_zombies_late_event_is_ignored_and_the_worker_goes_on(shaken: Settings) -> None:
    """A worker that was paused writes its event after the new owner's: the first one counts, in every projection."""
    user = f"user-{uuid.uuid4().hex[:8]}"
    async with AsyncMemory(home=shaken.home, patience=90.0) as memory:
        await memory.add("decided by the owner", user_id=user, infer=False)
        await settled(shaken)
        copy = newest(shaken, EVENTS)
        write_past_memfold(shaken, EVENTS, copy.partition, copy.key, copy.value)
        done = [await memory.add(f"after the zombie {n}", user_id=user, infer=False) for n in range(3)]
        assert len((await memory.get_all(user_id=user))["results"]) == 4
    await everything_holds(shaken, [one["receipt"]["command_id"] for one in done])


@pytest.mark.timeout(600)
async def test_a_record_that_cannot_be_read_is_put_aside_and_its_partition_goes_on(shaken: Settings) -> None:
    user = f"user-{uuid.uuid4().hex[:8]}"
    async with AsyncMemory(home=shaken.home, patience=90.0) as memory:
        await memory.add("before", user_id=user, infer=False)
        await settled(shaken)
        before = (await status_now(shaken))["quarantined"]
        genuine = newest(shaken, EVENTS)
        flipped = genuine.value[:-5] + bytes([genuine.value[-5] ^ 1]) + genuine.value[-4:]
        for topic in (COMMANDS, EVENTS):
            for garbage in (b"", b"not avro at all", random.Random(1).randbytes(300), flipped):
                write_past_memfold(shaken, topic, genuine.partition, genuine.key, garbage)
        done = [await memory.add(f"after {n}", user_id=user, infer=False) for n in range(2)]
        assert len((await memory.get_all(user_id=user))["results"]) == 3
    await everything_holds(shaken, [one["receipt"]["command_id"] for one in done])
    # decide, vector and graph each put aside what they could not read: 4 commands, 4 events twice.
    assert (await status_now(shaken))["quarantined"] >= before + 8


@pytest.mark.timeout(300)
async def test_a_watch_misses_and_repeats_nothing_while_processes_are_killed(shaken: Settings) -> None:
    """decide, archive and the broker, in turn, while 20 users write; one watch goes on throughout, one is opened anew each time."""
    agent, roles = f"agent-{uuid.uuid4().hex[:8]}", ["worker-decide", "worker-archive", "broker"]
    users, adds = [f"user-{uuid.uuid4().hex[:8]}" for _ in range(20)], 300
    at = {adds * (number + 1) // 4: role for number, role in enumerate(roles)}
    turns = asyncio.Semaphore(AT_ONCE)
    async with AsyncMemory(home=shaken.home, patience=90.0) as memory:
        whole, since = memory.watch(agent_id=agent), await memory.watch(agent_id=agent).open()

        async def add(number: int) -> None:
            async with turns:
                if number in at:
                    os.kill(pid_of(shaken, at[number]), signal.SIGKILL)
                whose: dict[str, Any] = {"user_id": users[number % 20], "agent_id": agent}
                await add_until_there(memory, f"fact {number}", f"{agent}/{number}", **whose)

        async def throughout() -> list[str]:
            return [str((await anext(whole))["memory"]) for _ in range(adds)]

        async def anew() -> list[str]:
            given: list[str] = []
            position = since.position
            while len(given) < adds:
                # Whoever opens while the broker is away is told so, and tries again.
                with suppress(BrokerUnreachable):
                    async with (
                        AsyncMemory(home=shaken.home) as other,
                        other.watch(agent_id=agent, since=position) as part,
                    ):
                        for _ in range(min(random.Random(len(given)).randint(20, 90), adds - len(given))):
                            change = await anext(part)
                            given.append(change["memory"])
                            position = change["position"]
            return given

        await whole.open()
        watching = asyncio.gather(throughout(), anew())
        await asyncio.gather(*(add(number) for number in range(adds)))
        expected = sorted(f"fact {number}" for number in range(adds))
        assert [sorted(given) for given in await watching] == [expected, expected]
    await settled(shaken)
