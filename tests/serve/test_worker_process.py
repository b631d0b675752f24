"""A worker process ends when it fails, whatever still hangs in it, and takes its time where it is told to stop."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

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


GIVING = """
import asyncio
from memfold.serve import worker_process

worker_process.GIVES_BACK = 0.05

def resident():
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * 4096

async def main():
    held = [bytes(9_000) for _ in range(20_000)]
    # Scattered: one in a hundred stays, so that no end of the heap is free.
    held = held[::100]
    full = resident()
    giving = asyncio.create_task(worker_process._give_back())
    async with asyncio.timeout(20):
        while resident() > full - 100 * 2**20:
            await asyncio.sleep(0.05)
    giving.cancel()

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="there is no glibc here")
def test_memory_that_lies_free_between_what_is_used_is_given_back() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", GIVING], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
