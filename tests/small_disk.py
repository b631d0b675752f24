"""A disk that fills up: a tmpfs of a few megabytes, mounted for as long as a test runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(path: Path, megabytes: int, *, lazy: bool = False) -> Iterator[Path]:
    """Made at `path`. `lazy`: unmounted although something still holds a file of it open. Skips where mounting is not allowed."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip(f"mounting a disk of {megabytes} MB takes root on Linux")
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not allow mounting: {mounted.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", *(["--lazy"] if lazy else []), str(path)], check=True)
