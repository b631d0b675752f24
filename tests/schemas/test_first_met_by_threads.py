"""Threads that decode their first record together. In processes of their own: a crash takes the interpreter with it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading
import msgspec
from memfold.schemas import codec
from memfold.schemas.records import MemoriesDecided, Operation, Scope
body = msgspec.to_builtins(MemoriesDecided("decided", operations=[Operation("ADD", "id", 1, "tea", Scope(user_id="u"))]))
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
def first():
    together.wait()
    for _ in range(3):
        msgspec.convert(body, MemoriesDecided)
threads = [threading.Thread(target=first) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
"""


def test_no_two_threads_make_msgspec_look_into_a_class() -> None:
    """Without what codec.py does as it is imported, about one process in five dies by signal 11."""
    running = [subprocess.Popen([sys.executable, "-c", PROGRAM]) for _ in range(12)]
    assert [process.wait() for process in running] == [0] * len(running)
