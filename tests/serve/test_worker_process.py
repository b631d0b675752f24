"""A worker process ends when it fails, whatever still hangs in it, and takes its time where it is told to stop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.serve.stacks import running_in, servers_of

PROCESS = """
import asyncio, sys, threading
from memfold.serve import worker_process
from memfold.serve.settings import settings_from

worker_process.ENDS = 2.0

class Hanging:
    roles = ("decide",)

    async def start(self): ...

    async def run(self, stop):
        asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
        raise RuntimeError("its follower failed")

    async def stop(self): ...

class Slow(Hanging):
    async def run(self, stop): ...

    async def stop(self):
        await asyncio.sleep(3 * worker_process.ENDS)

settings = settings_from(home=sys.argv[1], bootstrap_servers=sys.argv[2])
made = globals()[sys.argv[3]]()
worker_process.run_process(settings, ["decide"], lambda parts: made, lambda: None)
"""


def ended_as(made: str, home: Path) -> subprocess.CompletedProcess[str]:
    with running_in(home) as settings:
        command = [sys.executable, "-c", PROCESS, str(home), servers_of(settings), made]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_thread_that_hangs_does_not_keep_a_failed_worker(tmp_path: Path) -> None:
    ended = ended_as("Hanging", tmp_path)
    assert ended.returncode == 1
    assert "this process did not end within 2 s and is given up" in ended.stderr
    assert "Thread 0x" in ended.stderr, "what hung is told"


def test_a_worker_that_is_told_to_stop_is_given_its_time(tmp_path: Path) -> None:
    ended = ended_as("Slow", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
