"""The README's code runs, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL)


@pytest.mark.timeout(300)
def test_the_readme_runs_on_a_machine_where_nothing_runs(tmp_path: Path) -> None:
    """Every block, one after the other in one home; the first starts the embedded stack by itself."""
    assert len(BLOCKS) == 2
    environment = {"MEMFOLD_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    said = []
    for block in BLOCKS:
        command = [sys.executable, "-W", "error::ResourceWarning", "-c", block]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == "I met Sarah from Google\n"
    assert said[1].splitlines() == [
        "UPDATE I like coffee",
        "1 ADD None -> I like coffee",
        "2 UPDATE I like coffee -> Actually, I prefer tea now",
    ]
