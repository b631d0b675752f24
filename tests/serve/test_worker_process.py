"""A worker process ends when it fails, whatever still hangs in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.serve.stacks import running_in, servers_of

HANGS = """
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

settings = settings_from(home=sys.argv[1], bootstrap_servers=sys.argv[2])
worker_process.run_process(settings, ["decide"], lambda parts: Hanging(), lambda: None)
"""


def test_a_thread_that_hangs_does_not_keep_a_failed_worker(tmp_path: Path) -> None:
    with running_in(tmp_path) as settings:
        command = [sys.executable, "-c", HANGS, str(tmp_path), servers_of(settings)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "this process did not end within 2 s and is given up" in ended.stderr
    assert "Thread 0x" in ended.stderr, "what hung is told"
