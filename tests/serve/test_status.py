"""`memfold status --watch`, as a person and as a program reads it."""

from __future__ import annotations

import asyncio
import json
import operator
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from memfold import AsyncMemory
from memfold.schemas.partitions import EVENTS
from memfold.serve.settings import Settings
from memfold.serve.status import Rates, Status
from memfold.serve.status_shown import shown
from tests.serve.checks import reader_of
from tests.serve.rendered import plain
from tests.serve.stacks import servers_of


def watching(stack: Settings, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "memfold.serve.cli", "status", "--watch", "--every", "0.3"]
    return subprocess.Popen([*argv, "--home", str(stack.home), *words], stdout=subprocess.PIPE, text=True)


def until(process: subprocess.Popen[str], found: Callable[[str], bool]) -> None:
    """Read what it prints until a line is what is waited for."""
    assert process.stdout is not None
    for line in process.stdout:
        if found(line):
            return
    raise AssertionError(f"it ended with {process.wait()}")


async def test_each_look_is_a_line_of_json_with_rates_and_ctrl_c_ends_it(
    stack: Settings, memory: AsyncMemory
) -> None:
    with watching(stack, "--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["rates"] == {}
        assert {len(role["lag_by_partition"]) for role in first["roles"]} == {stack.partitions}
        await memory.add("I like tea", user_id=f"watched-{uuid.uuid4().hex[:8]}", infer=False)
        until(process, lambda line: json.loads(line)["rates"]["archive"] > 0)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(20) == 0


def test_beside_no_terminal_each_look_follows_the_one_before(stack: Settings) -> None:
    with watching(stack) as process:
        for _ in range(2):
            until(process, lambda line: line.startswith("role") and "lag by partition" in line)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        process.stdout.read()
        assert process.wait(20) == 0


async def test_the_groups_tell_kafka_how_far_they_are(stack: Settings, memory: AsyncMemory) -> None:
    """Tools that know nothing of memfold read the groups' offsets. Records travel together: what is committed is after the last."""
    user = f"grouped-{uuid.uuid4().hex[:8]}"
    await memory.add_many([{"messages": f"thing {n}"} for n in range(7)], user_id=user, infer=False)
    admin, reader = AdminClient({"bootstrap.servers": servers_of(stack)}), reader_of(stack)
    ends = [reader.bounds(EVENTS, partition)[1] for partition in range(stack.partitions)]
    wanted = [TopicPartition(EVENTS, partition) for partition in range(stack.partitions)]

    def committed(role: str) -> list[int]:
        asked = ConsumerGroupTopicPartitions(f"memfold-{role}", wanted)
        (group,) = admin.list_consumer_group_offsets([asked]).values()
        return [max(one.offset, 0) for one in group.result().topic_partitions]

    for role in ("vector", "graph", "archive"):
        deadline = time.monotonic() + 30
        while not all(map(operator.ge, committed(role), ends)):
            assert time.monotonic() < deadline, (role, committed(role), ends)
            await asyncio.sleep(0.1)


def found(positions: dict[str, dict[int, int]], ends: list[int]) -> Status:
    roles = [
        {
            "role": role,
            "running": True,
            "positions": at,
            "lag": sum(ends) - len(ends) - sum(at.values()),
            "lag_by_partition": [end - 1 - at[partition] for partition, end in enumerate(ends)],
        }
        for role, at in positions.items()
    ]
    nothing = {"processes": [], "topics": {}, "breakers": [], "pending": 0, "missed_reads": 0, "sealed": None}
    return {**nothing, "roles": roles, "verified": None, "scrubbed": None, "quarantined": 0}


def test_rates_are_from_one_look_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0, 13.0])
    monkeypatch.setattr("memfold.serve.status.time.monotonic", lambda: next(clock))
    rates = Rates()
    for at in (5, 105, 25):
        rates.take(found({"graph": {0: at, 1: 0}}, [200, 1]))
        told = rates.a_second
    assert told == {"graph": 0}
    assert "graph" in plain(shown(found({"graph": {0: 25, 1: 0}}, [200, 1]), rates))


def test_of_many_partitions_the_worst_are_named() -> None:
    ends = [10] * 40
    ends[7], ends[31] = 60, 15
    told = plain(shown(found({"vector": dict.fromkeys(range(40), 9)}, ends), Rates()))
    assert "7: 50, 31: 5" in told
