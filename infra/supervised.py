"""One process that is kept running: started, waited for until it is ready, and started again when it ends."""

from __future__ import annotations

import asyncio
import logging
import math
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from memfold.infra.processes import ProcessRecord, how_it_ended, remove_record, stop_process, write_record
from memfold.infra.stack_file import ProcessStatus, State
from memfold.memory.errors import MemfoldError

log = logging.getLogger(__name__)

FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
FORGIVEN_AFTER = 60.0
"""Seconds of work after which an end is answered with the first delay again."""

GIVE_UP_AFTER = 3
"""Ends before it was ever ready: trying will not help. What was ready once is started again for ever."""

POLL = 0.1


class Startable(Protocol):
    """What differs between a broker and a worker."""

    @property
    def role(self) -> str: ...

    @property
    def deadline(self) -> float:
        """Seconds that it gets to end in order before it is killed."""
        ...

    def start(self) -> subprocess.Popen[bytes]:
        """Start one process. Raises OSError."""
        ...

    async def until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until it is ready; False once it has ended, however long that takes."""
        ...

    def ended_unready(self, status: int) -> None:
        """Told that it ended with this exit status before it was ready."""
        ...

    def error(self, how: str) -> MemfoldError:
        """What to raise when it is given up; `how` says what it did."""
        ...


class Supervised:
    """One process, kept running from `begin` to `stop`. Calls `changed` whenever `status` is another one."""

    def __init__(self, what: Startable, run: Path, changed: Callable[[], None]) -> None:
        self._what, self._run, self._changed = what, run, changed
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._record: ProcessRecord | None = None
        self._state, self._restarts, self._last_end = State.STOPPED, 0, ""

    @property
    def status(self) -> ProcessStatus:
        """What it does now."""
        pid, started = (self._record.pid, self._record.started) if self._record else (None, None)
        return ProcessStatus(self._what.role, self._state, pid, started, self._restarts, self._last_end)

    def begin(self) -> asyncio.Task[None]:
        """Start it and keep it running. The task ends only when it is stopped or given up."""
        self._task = asyncio.create_task(self._keep(), name=self._what.role)
        return self._task

    async def until_ready(self, timeout: float) -> None:
        """Wait until it is ready for the first time. Raises the error of `what` if it is given up or too slow."""
        assert self._task is not None, "begin comes first"
        ready = asyncio.create_task(self._ready.wait())
        try:
            done, _ = await asyncio.wait(
                [ready, self._task], timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
        if self._task in done:
            self._task.result()
        if not done:
            raise self._what.error(f"was not ready in {timeout:.0f} s")

    async def stop(self) -> None:
        """End it in order, or kill it after its deadline."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._process is not None and self._record is not None:
            await asyncio.to_thread(stop_process, self._record, self._what.deadline)
            self._process.wait()
        self._forget()
        self._becomes(State.STOPPED)

    async def _keep(self) -> None:
        delay, vain = FIRST_DELAY, 0
        while True:
            worked = await self._once()
            if not self._ready.is_set():
                vain += 1
                if vain == GIVE_UP_AFTER:
                    raise self._what.error(f"{self._last_end}, {vain} times, before it was ready")
            if worked > FORGIVEN_AFTER:
                delay = FIRST_DELAY
            log.warning("%s %s; it is started again in %.1f s", self._what.role, self._last_end, delay)
            self._becomes(State.WAITING)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY)
            self._restarts += 1

    async def _once(self) -> float:
        """Start it and wait for its end; the seconds that it was ready."""
        try:
            process = self._process = self._what.start()
        except OSError as error:
            self._last_end = f"could not be started ({error})"
            return 0.0
        self._record = ProcessRecord.of(self._what.role, process.pid)
        write_record(self._run, self._record)
        self._becomes(State.STARTING)
        ready_at = math.inf
        if await self._what.until_ready(process):
            ready_at = time.monotonic()
            self._ready.set()
            self._becomes(State.READY)
        while (status := process.poll()) is None:  # noqa: ASYNC110 - the end of a Popen cannot be awaited
            await asyncio.sleep(POLL)
        self._last_end = how_it_ended(status)
        if ready_at == math.inf:
            self._what.ended_unready(status)
        self._forget()
        return max(0.0, time.monotonic() - ready_at)

    def _forget(self) -> None:
        self._process = self._record = None
        remove_record(self._run, self._what.role)

    def _becomes(self, state: State) -> None:
        self._state = state
        self._changed()
