"""A stack with a real broker: kept running, held by one, cleared after a crash."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from memfold.infra.processes import is_alive, read_records
from memfold.infra.roles import WorkerSpec
from memfold.infra.stack_file import State, embedded_stack_bootstrap, read_stack, running_stack
from memfold.infra.supervisor import Supervisor

WORKER = """
import os, pathlib, signal
run = pathlib.Path(os.environ["MEMFOLD_HOME"], "run")
new = run / "new"
new.write_text(str(os.getpid()))
new.replace(run / (os.environ["MEMFOLD_ROLE"] + ".ready"))
signal.pause()
"""

UP = """
import asyncio, pathlib, sys
from memfold.infra.roles import WorkerSpec
from memfold.infra.supervisor import Supervisor

async def main() -> None:
    worker = WorkerSpec("vector", [sys.executable, "-c", sys.argv[2]])
    stack = Supervisor(pathlib.Path(sys.argv[1]), [worker], parent_pipe=0, token="secret")
    try:
        await stack.start()
        print("up", flush=True)
        await stack.run_until(asyncio.Event())
    finally:
        await stack.stop()
    print("down", flush=True)

asyncio.run(main())
"""


@asynccontextmanager
async def up(home: Path, *workers: WorkerSpec) -> AsyncIterator[Supervisor]:
    stack = Supervisor(home, workers)
    await stack.start()
    try:
        yield stack
    finally:
        await stack.stop()


def worker(role: str) -> WorkerSpec:
    return WorkerSpec(role, [sys.executable, "-c", WORKER])


def up_in_a_process(home: Path) -> subprocess.Popen[str]:
    """A supervisor in a process of its own, up; it lives as long as its standard input is open."""
    process = subprocess.Popen(
        [sys.executable, "-c", UP, str(home), WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)


async def test_a_killed_broker_comes_back_with_its_data_on_its_port(tmp_path: Path) -> None:
    async with up(tmp_path, worker("vector")) as stack:
        bootstrap = stack.bootstrap_servers
        assert embedded_stack_bootstrap(tmp_path) == bootstrap
        producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
        await asyncio.to_thread(create, bootstrap, "log")
        producer.produce("log", b"acknowledged")
        assert producer.flush(20) == 0

        broker, vector = stack.status()
        assert broker.pid is not None
        killed_at = time.monotonic()
        os.kill(broker.pid, signal.SIGKILL)
        await until(lambda: stack.status()[0].restarts == 1 and stack.status()[0].state is State.READY)
        assert time.monotonic() - killed_at < 20

        assert stack.status()[0].last_end == "was ended by signal 9"
        assert stack.status()[1] == vector, "the workers are left to connect again"
        assert stack.bootstrap_servers == bootstrap
        assert await asyncio.to_thread(first, bootstrap, "log") == b"acknowledged"
    assert embedded_stack_bootstrap(tmp_path) is None
    assert read_records(tmp_path / "run") == []


async def test_what_a_killed_supervisor_left_is_cleared_by_the_next_one(tmp_path: Path) -> None:
    killed = await asyncio.to_thread(up_in_a_process, tmp_path)
    before = read_stack(tmp_path)
    assert before is not None
    assert before.token == "secret"
    assert (tmp_path / "run" / "stack.json").stat().st_mode & 0o777 == 0o600
    left = read_records(tmp_path / "run")
    assert [record.role for record in left] == ["broker", "vector"]
    killed.kill()
    killed.communicate()
    assert all(is_alive(record) for record in left)
    assert running_stack(tmp_path) is None
    async with up(tmp_path) as stack:
        assert {record.pid for record in stack.cleared} == {record.pid for record in left}
        assert not any(is_alive(record) for record in left)
        assert stack.bootstrap_servers == before.bootstrap_servers


async def test_a_stack_dies_with_the_parent_that_wanted_it(tmp_path: Path) -> None:
    process = await asyncio.to_thread(up_in_a_process, tmp_path)
    left = read_records(tmp_path / "run")
    output, _ = await asyncio.to_thread(
        process.communicate
    )  # closes its standard input, as the parent's end would
    assert output == "down\n"
    assert process.returncode == 0
    assert len(left) == 2
    assert not any(is_alive(record) for record in left)
    assert not (tmp_path / "run" / "stack.json").exists()


def create(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)


def first(bootstrap: str, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        message = consumer.poll(20)
        return message.value() if message else None
    finally:
        consumer.close()
