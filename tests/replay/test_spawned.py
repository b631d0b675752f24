"""Spawned processes begin without the caller's main module: a script that has no guard is not run again in each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
from concurrent.futures import ProcessPoolExecutor
from os import getpid
from memfold.replay.spawned import Spawned

print("main runs", flush=True)
with ProcessPoolExecutor(2, Spawned()) as pool:
    assert pool.submit(getpid).result() != getpid()
assert __spec__ is None and __file__ == {path!r}
"""


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(path=str(path)))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "main runs\n"), done.stderr
