"""What a supervisor can keep running: the embedded broker, and workers."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memfold.infra.broker_setup import BrokerLaunch
from memfold.infra.errors import BrokerNotStarted, WorkerNotStarted
from memfold.infra.processes import start_process
from memfold.infra.ready import is_ready, withdraw_ready
from memfold.infra.supervised import POLL
from memfold.infra.writable import wait_writable


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker: its role, unique in the stack, its command line, and what it gets on top of the supervisor's environment.

    It also gets MEMFOLD_HOME, MEMFOLD_BOOTSTRAP_SERVERS and MEMFOLD_ROLE; calls `announce_ready` when it does its work; and
    ends on SIGTERM. What it prints goes to `<home>/logs/<role>.log`.
    """

    role: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokerRole:
    """The embedded broker, ready when it takes writes. Every start is on the same port: workers just connect again."""

    launch: BrokerLaunch
    role: str = "broker"
    deadline: float = 20.0

    def start(self) -> subprocess.Popen[bytes]:
        return self.launch.start()

    async def until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        # Without a time limit: after a kill it reads its log first, and that takes as long as the log is long.
        return await asyncio.to_thread(
            wait_writable, self.launch.bootstrap, lambda: process.poll() is None, math.inf
        )

    def ended_unready(self, status: int) -> None:
        self.launch.ended_unready(status)

    def error(self, how: str) -> BrokerNotStarted:
        return self.launch.error(how)


@dataclass(frozen=True, slots=True)
class WorkerRole:
    """A worker of a home, ready when it has announced itself."""

    home: Path
    spec: WorkerSpec
    bootstrap: str
    deadline: float = 10.0

    @property
    def role(self) -> str:
        return self.spec.role

    @property
    def output(self) -> Path:
        return self.home / "logs" / f"{self.role}.log"

    def start(self) -> subprocess.Popen[bytes]:
        withdraw_ready(self.home, self.role)
        ours = {
            "MEMFOLD_HOME": str(self.home),
            "MEMFOLD_BOOTSTRAP_SERVERS": self.bootstrap,
            "MEMFOLD_ROLE": self.role,
        }
        env = {**os.environ, **ours, **self.spec.env}
        return start_process(self.spec.argv, cwd=self.home, env=env, output=self.output)

    async def until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        while process.poll() is None:
            if is_ready(self.home, self.role, process.pid):
                return True
            await asyncio.sleep(POLL)
        return False

    def ended_unready(self, status: int) -> None:
        """Nothing to do: the next start is the same one."""

    def error(self, how: str) -> WorkerNotStarted:
        return WorkerNotStarted(f"the worker {self.role} {how}; the reason is at the end of {self.output}")
