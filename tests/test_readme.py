"""The code in the README and in the docs runs, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": 3,
    "docs/understanding.md": 1,
    "docs/providers.md": 1,
    "docs/streaming.md": 1,
    "docs/importing.md": 1,
    "docs/traces.md": 1,
}
"""How many blocks of Python each page has; all other pages have none."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def printed(home: Path, page: str) -> list[str]:
    """What each block of a page prints, one after the other in one home."""
    environment = {"MEMFOLD_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    said = []
    for block in blocks(ROOT / page):
        command = [sys.executable, "-W", "error::ResourceWarning", "-c", block]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    return said


@pytest.mark.timeout(300)
def test_the_readme_runs_on_a_machine_where_nothing_runs(tmp_path: Path) -> None:
    """Every block, one after the other in one home; the first starts the embedded stack by itself."""
    said = printed(tmp_path / "home", "README.md")
    assert said[0] == "I met Sarah from Google\n"
    assert said[1].splitlines() == [
        "UPDATE I like coffee",
        "1 ADD None -> I like coffee",
        "2 UPDATE I like coffee -> Actually, I prefer tea now",
    ]
    assert "'offset': " in said[2]


def test_each_page_has_its_blocks() -> None:
    assert {page: len(blocks(ROOT / page)) for page in PAGES} == PAGES


def test_no_page_has_code_that_is_not_run() -> None:
    assert {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md") if blocks(page)} <= set(PAGES)
