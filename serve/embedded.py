"""The stack of a home: the one that runs, or one started for as long as its caller lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from memfold.infra.errors import WorkerNotStarted
from memfold.infra.groups import FOLLOWING
from memfold.infra.home import prepare_home
from memfold.infra.roles import WorkerSpec
from memfold.infra.stack_file import Stack, State
from memfold.infra.stack_file import running_stack as stack_of
from memfold.memory.errors import InvalidInput
from memfold.projections.generations import Generations
from memfold.replay.past_manifest import WHOLE
from memfold.schemas.key_rows import Postgres
from memfold.schemas.keystore import rows_at
from memfold.serve.embedding import check_embedder
from memfold.serve.keys import place_of
from memfold.serve.mirrors import Mirrors
from memfold.serve.repartitioned import check_not_moved
from memfold.serve.roles import ROLES
from memfold.serve.settings import Settings

START_TIMEOUT = 240.0
"""Seconds for the first start on an empty machine, downloads included."""
_STOP_TIMEOUT = 40.0
_POLL = 0.05
_MODULE = "memfold.serve.cli"
"""Roles that any number of workers share by partition."""


def worker_specs(settings: Settings, separate: bool = False, workers: int = 1) -> list[WorkerSpec]:
    """The workers of a stack: all roles in one process, to save memory, or each in its own; or `workers`, which share the partitions.

    Raises InvalidInput for both at once.
    """
    if separate and workers > 1:
        raise InvalidInput("--separate and --workers are two ways to share the work; use one of them")
    argv = [sys.executable, "-m", _MODULE, "worker"]
    environment = environment_of(settings)
    run = [sys.executable, "-m", _MODULE, "projection", "run"]
    # Each mirror by itself: a store that does not answer must stop nothing else.
    mirrors = [
        WorkerSpec(mirror.role, [*run, mirror.name], environment) for mirror in Mirrors(settings.folder).all()
    ]
    if workers > 1:
        return [*_sharing(settings, argv, environment, workers), *mirrors]
    if not separate:
        return [WorkerSpec("worker", argv, environment), *mirrors]
    return [*(WorkerSpec(f"worker-{role}", [*argv, role], environment) for role in ROLES), *mirrors]


def _sharing(
    settings: Settings, argv: list[str], environment: dict[str, str], workers: int
) -> Iterator[WorkerSpec]:
    """The same roles in each, except one sealer: a second one would only wait for its lock. Ports that are chosen count up."""
    for number in range(workers):
        seal = ["seal"] if number == 0 else []
        ports: dict[str, str] = {}
        if settings.metrics.port:
            ports["MEMFOLD_METRICS__PORT"] = str(settings.metrics.port + number)
        if settings.view.port:
            ports["MEMFOLD_VIEW__PORT"] = str(settings.view.port + number)
        yield WorkerSpec(f"worker-{number + 1}", [*argv, *FOLLOWING, *seal], environment | ports)


def environment_of(settings: Settings) -> dict[str, str]:
    """Settings as the MEMFOLD_* variables that give the same ones in another process."""
    found: dict[str, str] = {}
    for name, value in settings.model_dump(exclude_none=True, exclude_unset=True).items():
        plain = _revealed(value)
        found[f"MEMFOLD_{name.upper()}"] = (
            json.dumps(plain, default=str) if isinstance(plain, dict) else str(plain)
        )
    return found | {"MEMFOLD_HOME": str(settings.folder)}


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {name: _revealed(inner) for name, inner in value.items()}
    return value


def ready_stack(home: Path) -> Stack | None:
    """The stack that runs in a home, once every process of it is ready."""
    stack = stack_of(home)
    if stack is None or not stack.bootstrap_servers or not stack.processes:
        return None
    workers = [process for process in stack.processes if process.role != "broker"]
    return stack if workers and all(process.state == State.READY for process in workers) else None


def running_stack(settings: Settings) -> str | None:
    """Bootstrap servers of the stack that runs in the home; waits for one that is just starting. None where none runs."""
    deadline = time.monotonic() + START_TIMEOUT
    while (stack := stack_of(settings.folder)) is not None and time.monotonic() < deadline:
        if stack.bootstrap_servers:
            return stack.bootstrap_servers
        time.sleep(_POLL)
    return None


@dataclass(frozen=True, slots=True)
class EmbeddedStack:
    """A stack of its own process that ends with this one: it stops when the pipe between them closes, even after kill -9."""

    process: subprocess.Popen[bytes]
    bootstrap_servers: str

    @classmethod
    def start(cls, settings: Settings, separate: bool = False, workers: int = 1) -> EmbeddedStack:
        """Start `memfold up` in the home and wait until it is ready. Raises WorkerNotStarted with the end of its log."""
        options = ["--parent-pipe", *shape_of(separate, workers)]
        process = start_up(settings, options, subprocess.PIPE)
        try:
            return cls(process, wait_ready(settings.folder, process).bootstrap_servers)
        except BaseException:
            cls(process, "").stop()
            raise

    def stop(self) -> None:
        """Close the pipe and wait for everything to stop in order."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(_STOP_TIMEOUT)


def shape_of(separate: bool, workers: int) -> list[str]:
    """The options of `memfold up` that say which processes there are."""
    return [*(["--separate"] if separate else []), *(["--workers", str(workers)] if workers > 1 else [])]


def check_before_start(settings: Settings) -> None:
    """What every worker would refuse, said at once.

    Raises EmbedderDiffers, WrongKey, KeysUnreachable, KeysRefused, and InvalidInput for a folder that is a past, or whose log is
    elsewhere.
    """
    check_not_moved(settings.folder)
    place = place_of(settings)
    if isinstance(place, Postgres):
        rows_at(place).close()
    if (settings.folder / WHOLE).exists():
        raise InvalidInput(
            f'{settings.folder} is a past, and nothing can run in it; open it with Memory.open("{settings.folder}")'
        )
    vectors = Generations(settings.folder / "projections", "vector")
    check_embedder(settings.models, vectors, "kafka" if settings.bootstrap_servers else "archive")


def start_up(settings: Settings, options: list[str], stdin: int) -> subprocess.Popen[bytes]:
    """`memfold up` in a session of its own; what it prints goes to logs/up.log in the home."""
    check_before_start(settings)
    logs = prepare_home(settings.folder) / "logs"
    with (logs / "up.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", _MODULE, "up", "--plain", *options],
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environment_of(settings)},
        )


def wait_ready(home: Path, process: subprocess.Popen[bytes]) -> Stack:
    """The stack that `process` starts, once it is ready. Raises WorkerNotStarted."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        stack = ready_stack(home)
        if stack is not None and stack.supervisor.pid == process.pid:
            return stack
        time.sleep(_POLL)
    log = (home / "logs" / "up.log").read_text(errors="replace").strip().splitlines()[-8:]
    raise WorkerNotStarted("the stack did not start:\n  " + "\n  ".join(log) + f"\nMore in {home / 'logs'}")
