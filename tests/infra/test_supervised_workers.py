"""Workers under a supervisor: started again with growing delays, given up when they never work, stopped in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from memfold.infra import supervised
from memfold.infra.errors import ParentGone, StackRunning, WorkerNotStarted
from memfold.infra.processes import read_records
from memfold.infra.ready import announce_ready, is_ready, withdraw_ready
from memfold.infra.roles import WorkerSpec
from memfold.infra.stack_file import State, embedded_stack_bootstrap, running_stack
from memfold.infra.supervisor import Supervisor

ELSEWHERE = "kafka.example:9092"
"""A Kafka that is not the stack's business; nothing here connects to it."""

READY = """
import os, pathlib, signal, sys
home, role = pathlib.Path(os.environ["MEMFOLD_HOME"]), os.environ["MEMFOLD_ROLE"]
def ready():
    new = home / "run" / (role + ".new")
    new.write_text(str(os.getpid()))
    new.replace(home / "run" / (role + ".ready"))
def end(*_):
    with open(home / "ended", "a") as file:
        file.write(role + " ")
    sys.exit()
signal.signal(signal.SIGTERM, end)
"""
WORKS = READY + "ready()\nwhile True: signal.pause()"
ENDS_AT_ONCE = READY + "print('no such topic', flush=True)\nsys.exit(3)"
ENDS_WHEN_READY = READY + "ready()\nsignal.sigtimedwait([], 0.4)\nsys.exit(4)"
NEVER_READY = (
    READY + "print(os.environ['MEMFOLD_BOOTSTRAP_SERVERS'], os.environ['EXTRA'], flush=True)\nsignal.pause()"
)


def worker(role: str, code: str) -> WorkerSpec:
    return WorkerSpec(role, [sys.executable, "-c", code], {"EXTRA": "more"})


@asynccontextmanager
async def up(home: Path, *workers: WorkerSpec) -> AsyncIterator[Supervisor]:
    running = stack(home, *workers)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def stack(home: Path, *workers: WorkerSpec, parent_pipe: int | None = None) -> Supervisor:
    return Supervisor(home, workers, bootstrap_servers=ELSEWHERE, parent_pipe=parent_pipe)


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.02)


async def test_started_and_stopped_in_order(tmp_path: Path) -> None:
    async with up(
        tmp_path, worker("vector", WORKS), worker("graph", WORKS), worker("decide", WORKS)
    ) as running:
        assert [status.role for status in running.status()] == ["vector", "graph", "decide"]
        assert {status.state for status in running.status()} == {State.READY}
        found = running_stack(tmp_path)
        assert found is not None
        assert found.processes == running.status()
        assert found.supervisor.pid == os.getpid()
        assert embedded_stack_bootstrap(tmp_path) == ELSEWHERE
        stop = asyncio.Event()
        run = asyncio.create_task(running.run_until(stop))
        stop.set()
        await run
    assert (tmp_path / "ended").read_text() == "decide graph vector "
    assert running_stack(tmp_path) is None


async def test_a_second_supervisor_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    async with up(one, worker("vector", WORKS)) as running, up(other, worker("vector", WORKS)):
        before = running_stack(one)
        with pytest.raises(StackRunning, match=f"one is in use by process {os.getpid()}"):
            await stack(one, worker("vector", WORKS)).start()
        assert running_stack(one) == before
        assert [status.state for status in running.status()] == [State.READY]


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds before each restart, as they are logged."""
    found: list[float] = []
    monkeypatch.setattr(supervised.log, "warning", lambda *message: found.append(message[-1]))
    return found


async def test_a_dead_worker_is_started_again_with_a_growing_delay(
    tmp_path: Path, delays: list[float]
) -> None:
    async with up(tmp_path, worker("vector", ENDS_WHEN_READY), worker("graph", WORKS)) as running:
        other = running.status()[1]
        await until(lambda: running.status()[0].restarts == 3)
        assert delays[:3] == [0.2, 0.4, 0.8]
        assert running.status()[0].last_end == "ended with status 4"
        assert running.status()[1] == other


async def test_the_delay_is_bounded_and_forgiven(
    tmp_path: Path, delays: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "LONGEST_DELAY", 0.3)
    async with up(tmp_path, worker("vector", WORKS)) as running:
        for _ in range(3):
            await kill_and_see_it_back(running)
        assert delays == [0.2, 0.3, 0.3]
        monkeypatch.setattr(supervised, "FORGIVEN_AFTER", 0.0)
        await kill_and_see_it_back(running)
        assert delays[3] == 0.2


async def kill_and_see_it_back(running: Supervisor) -> None:
    (before,) = running.status()
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    await until(
        lambda: running.status()[0].restarts > before.restarts and running.status()[0].state is State.READY
    )


async def test_a_worker_that_never_works_is_given_up_and_named(tmp_path: Path) -> None:
    running = stack(tmp_path, worker("graph", WORKS), worker("vector", ENDS_AT_ONCE))
    with pytest.raises(
        WorkerNotStarted,
        match=r"worker vector ended with status 3, 3 times, before it was ready; .*vector\.log",
    ):
        await running.start()
    assert (tmp_path / "logs" / "vector.log").read_text() == "no such topic\n" * 3
    assert read_records(tmp_path / "run") == [], "the worker that did work was stopped too"
    async with up(tmp_path, worker("graph", WORKS)):
        pass  # the home is free again


async def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkerNotStarted, match=r"vector could not be started .*/no/such/program"):
        await stack(tmp_path, WorkerSpec("vector", ["/no/such/program"])).start()


async def test_a_start_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    starting = asyncio.create_task(stack(tmp_path, worker("vector", NEVER_READY)).start())
    log = tmp_path / "logs" / "vector.log"
    await until(lambda: log.exists() and log.read_text() == f"{ELSEWHERE} more\n")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert read_records(tmp_path / "run") == []


async def test_a_parent_that_ends_during_the_start_ends_it(tmp_path: Path) -> None:
    theirs, ours = os.pipe()
    starting = asyncio.create_task(stack(tmp_path, worker("vector", NEVER_READY), parent_pipe=theirs).start())
    await until(lambda: (tmp_path / "run" / "vector.json").exists())
    os.close(ours)
    with pytest.raises(ParentGone):
        await asyncio.wait_for(starting, 20)
    os.close(theirs)
    assert read_records(tmp_path / "run") == []


def test_ready_is_said_by_pid(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert not is_ready(tmp_path, "vector", os.getpid())
    announce_ready(tmp_path, "vector")
    assert is_ready(tmp_path, "vector", os.getpid())
    assert not is_ready(tmp_path, "vector", 1)
    withdraw_ready(tmp_path, "vector")
    assert not is_ready(tmp_path, "vector", os.getpid())
