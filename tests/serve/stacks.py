"""A stack for the length of a block."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memfold.infra.home import prepare_home
from memfold.infra.stack_file import running_stack
from memfold.serve.embedded import EmbeddedStack, environment_of, shape_of, wait_ready
from memfold.serve.settings import Settings, settings_from


@contextmanager
def running_in(home: Path, *, separate: bool = False, workers: int = 1, **given: Any) -> Iterator[Settings]:
    """The settings of a stack in `home`, which runs until the block ends. `given` as `settings_from` takes them."""
    settings = settings_from(home=home, **given)
    running = EmbeddedStack.start(settings, separate, workers)
    try:
        yield settings
    finally:
        running.stop()


@contextmanager
def running_behind(prefix: Sequence[str], settings: Settings, workers: int) -> Iterator[None]:
    """The same with `prefix` before the command line: a stack on another machine's network."""
    argv = [*prefix, sys.executable, "-m", "memfold.serve.cli", "up", "--plain", "--parent-pipe"]
    with (prepare_home(settings.folder) / "logs" / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [*argv, *shape_of(False, workers)],
            env={**os.environ, **environment_of(settings)},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    running = EmbeddedStack(process, "")
    try:
        wait_ready(settings.folder, process)
        yield
    finally:
        running.stop()


def pid_of(settings: Settings, role: str) -> int:
    stack = running_stack(settings.folder)
    assert stack is not None
    (pid,) = [process.pid for process in stack.processes if process.role == role]
    assert pid is not None
    return pid


def servers_of(settings: Settings) -> str:
    stack = running_stack(settings.folder)
    assert stack is not None
    assert stack.bootstrap_servers
    return stack.bootstrap_servers
