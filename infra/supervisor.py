"""Keeps a stack running: the broker, then the workers, each started again when it ends; stopped in the reverse order.

A supervisor that is killed leaves its processes running. The next one in the same home knows them by pid and start time,
stops them, and starts its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from memfold.infra.broker import STOP_DEADLINE, kafka_runtime
from memfold.infra.broker_setup import prepare_broker
from memfold.infra.errors import ParentGone
from memfold.infra.home import only_one, prepare_home
from memfold.infra.kafka_jars import Progress, no_progress
from memfold.infra.processes import ProcessRecord, clear_stale
from memfold.infra.roles import BrokerRole, WorkerRole, WorkerSpec
from memfold.infra.stack_file import ProcessStatus, Stack, remove_stack, write_stack
from memfold.infra.supervised import Startable, Supervised

READY_TIMEOUT = 180.0
"""Seconds for the broker, and then for all workers, to get ready at the first start."""


class Supervisor:
    """One stack in one home: `start`, `run_until`, and in any case `stop`.

    `bootstrap_servers` names a Kafka that is there already; without it, an embedded broker is part of the stack. `token` is
    kept in stack.json for the workers' clients. `parent_pipe` is a file descriptor that ends when the process that wants
    the stack ends, for example standard input: the stack then stops too, even if that process was killed.
    """

    def __init__(
        self,
        home: Path,
        workers: Sequence[WorkerSpec],
        *,
        bootstrap_servers: str | None = None,
        token: str = "",
        parent_pipe: int | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self.home = home.expanduser().absolute()
        self.bootstrap_servers = bootstrap_servers or ""
        self.cleared: list[ProcessRecord] = []
        """What a crashed run had left running, and `start` stopped."""
        self._workers, self._token, self._progress = tuple(workers), token, progress
        self._embedded = bootstrap_servers is None
        self._self = ProcessRecord.of("supervisor", os.getpid())
        self._parent_pipe, self._parent_gone = parent_pipe, asyncio.Event()
        self._kept: list[Supervised] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._held = ExitStack()

    async def start(self) -> None:
        """Start everything and return when all of it is ready; nothing is left running if that fails.

        Raises StackRunning, JavaNotFound, KafkaNotFetched, KafkaJarsChanged, BrokerNotStarted, WorkerNotStarted, ParentGone.
        """
        prepare_home(self.home)
        self._held.enter_context(only_one(self.home))
        if self._parent_pipe is not None:
            _watch(self._parent_pipe, self._parent_gone)
        starting, gone = asyncio.create_task(self._start()), asyncio.create_task(self._parent_gone.wait())
        started = False
        try:
            await asyncio.wait([starting, gone], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                raise ParentGone("the process that this stack was being started for has ended")
            starting.result()
            started = True
        finally:
            gone.cancel()
            if not started:
                starting.cancel()
                await asyncio.wait([starting])
                await self.stop()

    async def run_until(self, stop: asyncio.Event) -> None:
        """Keep it running until `stop` is set or the parent has gone; then call `stop()`."""
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(self._parent_gone.wait())]
        try:
            done, _ = await asyncio.wait([*ends, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop the workers, the last one first, then the broker, each with SIGTERM and a deadline; give up the home."""
        for supervised in reversed(self._kept):
            await supervised.stop()
        if self._kept:
            remove_stack(self.home)
        self._kept.clear()
        self._tasks.clear()
        self._held.close()

    def status(self) -> list[ProcessStatus]:
        """Every process of the stack, in the order in which they are started."""
        return [supervised.status for supervised in self._kept]

    async def _start(self) -> None:
        self.cleared = await asyncio.to_thread(clear_stale, self.home / "run", STOP_DEADLINE)
        if self._embedded:
            runtime = await asyncio.to_thread(kafka_runtime, self._progress)
            launch = await asyncio.to_thread(prepare_broker, self.home, runtime)
            await self._begin(BrokerRole(launch)).until_ready(READY_TIMEOUT)
            self.bootstrap_servers = launch.bootstrap
            self._write()
        roles = [WorkerRole(self.home, spec, self.bootstrap_servers) for spec in self._workers]
        workers = [self._begin(role) for role in roles]
        await asyncio.gather(*(worker.until_ready(READY_TIMEOUT) for worker in workers))

    def _begin(self, what: Startable) -> Supervised:
        supervised = Supervised(what, self.home / "run", self._write)
        self._kept.append(supervised)
        self._tasks.append(supervised.begin())
        return supervised

    def _write(self) -> None:
        write_stack(self.home, Stack(self.bootstrap_servers, self._token, self._self, self.status()))


def _watch(pipe: int, gone: asyncio.Event) -> None:
    """Set `gone` when `pipe` ends. In a thread: an event loop cannot wait for every kind of file."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        with suppress(OSError):
            while os.read(pipe, 4096):
                pass
        with suppress(RuntimeError):  # the loop was closed before the parent was
            loop.call_soon_threadsafe(gone.set)

    threading.Thread(target=read, name="parent", daemon=True).start()
