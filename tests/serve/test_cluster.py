"""Three brokers on this machine, killed by their recorded pids while memories are added: what is acknowledged stays, once."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import pytest

from memfold import AsyncMemory
from memfold.memory.errors import NotVisibleYet, WriteUnknown
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.serve.settings import Settings
from tests.infra.kafka_cluster import Cluster, running_cluster
from tests.serve.adding import add_until_there
from tests.serve.checks import everything_holds
from tests.serve.stacks import running_in

pytestmark = pytest.mark.cluster
"""tests/streams/test_cluster.py has the short form, without workers."""


@dataclass(frozen=True)
class Three:
    """Three brokers, and a stack whose Kafka they are."""

    cluster: Cluster
    settings: Settings
    turn: Lock = field(default_factory=Lock)

    def memory(self, patience: float = 120.0) -> AsyncMemory:
        return AsyncMemory(
            home=self.settings.home, bootstrap_servers=self.cluster.bootstrap, patience=patience
        )

    def back(self) -> None:
        """Every broker runs again, with all that it had missed."""
        self.cluster.start()
        self.cluster.wait_brokers(3)
        self.cluster.wait_in_sync()

    def kill_another(self, which: Callable[[], int]) -> None:
        """Once all are back. One after the other: adds go on meanwhile, and come to the next moment before that."""
        with self.turn:
            self.back()
            self.cluster.kill(which())


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    folder = tmp_path_factory.mktemp("three")
    with running_cluster(folder / "kafka", 3, {"default.replication.factor": 3}) as cluster:
        given: dict[str, Any] = {
            "bootstrap_servers": cluster.bootstrap,
            "partitions": 2,
            "replication": 3,
            "min_insync": 2,
        }
        with running_in(folder / "home", **given) as settings:
            yield Three(cluster, settings)


@pytest.fixture(autouse=True)
def whole(three: Three) -> None:
    """Also after a test that failed with brokers down."""
    three.back()


async def add(memory: AsyncMemory, user: str, number: int) -> str:
    return await add_until_there(memory, f"fact {number}", f"{user}/{number}", user_id=user)


async def add_while(three: Three, count: int, events: dict[int, Callable[[], None]]) -> list[str]:
    """`count` adds of ten users, twenty at a time; at number n, `events[n]` happens. All are found, once each."""
    users = [f"user-{uuid.uuid4().hex[:8]}" for _ in range(10)]
    turns = asyncio.Semaphore(20)
    async with three.memory() as memory:

        async def one(number: int) -> str:
            async with turns:
                if number in events:
                    await asyncio.to_thread(events[number])
                return await add(memory, users[number % 10], number)

        acknowledged = await asyncio.gather(*(one(number) for number in range(count)))
        for mine, user in enumerate(users):
            listed = await memory.get_all(user_id=user, limit=count)
            expected = sorted(f"fact {number}" for number in range(count) if number % 10 == mine)
            assert sorted(found["memory"] for found in listed["results"]) == expected
    return acknowledged


async def two_of_three_are_down(three: Three, user: str) -> None:
    """Writes say that they are not safe, reads go on; what was tried meanwhile counts once when the brokers are back."""
    async with three.memory() as memory:
        await add(memory, user, 0)
        for number in (1, 2):
            three.cluster.kill(number)
        with pytest.raises(
            WriteUnknown, match=r"gave no clear answer \(.*\); the record may be in the log or not"
        ):
            await memory.add("tried in vain", user_id=user, infer=False, idempotency_key="in vain")
        found = await memory.search("fact", user_id=user)
        assert [each["memory"] for each in found["results"]] == ["fact 0"]
        await asyncio.to_thread(three.back)
        for _ in range(2):
            while True:
                try:
                    await memory.add("tried in vain", user_id=user, infer=False, idempotency_key="in vain")
                    break
                except (WriteUnknown, NotVisibleYet):
                    continue
        listed = await memory.get_all(user_id=user)
        assert sorted(each["memory"] for each in listed["results"]) == ["fact 0", "tried in vain"]


async def test_one_broker_is_killed_under_load_then_two_are_down(three: Three) -> None:
    leader = three.cluster.leader(COMMANDS, 0)
    acknowledged = await add_while(three, 150, {50: lambda: three.cluster.kill(leader)})
    await asyncio.to_thread(three.back)
    await two_of_three_are_down(three, f"user-{uuid.uuid4().hex[:8]}")
    await everything_holds(three.settings, acknowledged)


@pytest.mark.parametrize("seed", range(3))
async def test_any_broker_again_and_again(three: Three, seed: int) -> None:
    """Six kills at moments that the seed chooses, each broker back in sync before the next one goes."""
    rng = random.Random(seed)

    def killed() -> None:
        three.kill_another(lambda: rng.choice((1, 2, 3)))

    moments = rng.sample(range(200, 2_800), 6)
    acknowledged = await add_while(three, 3_000, dict.fromkeys(moments, killed))
    await asyncio.to_thread(three.back)
    await everything_holds(three.settings, acknowledged)


async def test_the_leader_twice_in_a_row(three: Three) -> None:
    def leader_killed() -> None:
        three.kill_another(lambda: three.cluster.leader(EVENTS, 0))

    acknowledged = await add_while(three, 1_500, {400: leader_killed, 900: leader_killed})
    await asyncio.to_thread(three.back)
    await everything_holds(three.settings, acknowledged)


async def test_two_down_three_times(three: Three) -> None:
    for _ in range(3):
        await two_of_three_are_down(three, f"user-{uuid.uuid4().hex[:8]}")
