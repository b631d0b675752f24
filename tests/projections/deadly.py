"""The beginning of a program that dies before a step of its file operations: its text, for `python -c` in a process of its own."""

from __future__ import annotations

COUNTED = """
import os, signal, sys
from pathlib import Path
steps, deadly = 0, int(sys.argv[1])
def counted(step):
    def run(*args, **kwargs):
        global steps
        steps += 1
        if steps == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*args, **kwargs)
    return run
def count():
    os.fsync, Path.rename, Path.unlink = counted(os.fsync), counted(Path.rename), counted(Path.unlink)
"""
"""`count()` begins to count; argument 1 is the step before which it is killed by SIGKILL, a negative one: never."""
