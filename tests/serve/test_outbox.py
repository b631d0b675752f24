"""The example of the outbox runs, against the stack that is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from memfold.serve.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "outbox.py"


def test_one_agent_reacts_to_each_finding_of_the_other_once(stack: Settings) -> None:
    environment = {**os.environ, "MEMFOLD_HOME": str(stack.folder)}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *tasks, count = done.stdout.splitlines()
    first, second, repeated, third = tasks
    assert repeated == second
    assert len({first, second, third}) == 3
    assert count == "3 tasks for 3 findings"
