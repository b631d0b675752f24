"""`<home>/run/stack.json`: what runs in a home, for whoever wants to use it. Mode 0600, since it holds a token."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from memfold.infra.home import write_private
from memfold.infra.processes import ProcessRecord, is_alive


class State(StrEnum):
    """Where a supervised process stands."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It ended, and is started again in a moment."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process of a stack. `pid` and `started` (seconds since the epoch) are None while there is none."""

    role: str
    state: State
    pid: int | None
    started: float | None
    restarts: int
    last_end: str
    """How it ended the last time, empty if it never did: "ended with status 1", "was ended by signal 9"."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What a supervisor says about itself. `bootstrap_servers` is empty until the broker takes writes."""

    bootstrap_servers: str
    token: str
    supervisor: ProcessRecord
    processes: list[ProcessStatus]


def write_stack(home: Path, stack: Stack) -> None:
    """Replace the file in one step."""
    write_private(_file(home), msgspec.json.encode(stack))


def read_stack(home: Path) -> Stack | None:
    """What the file says, whether or not it is still true; None without one. Raises msgspec.DecodeError if it is none of ours."""
    try:
        return msgspec.json.decode(_file(home).read_bytes(), type=Stack)
    except FileNotFoundError:
        return None


def remove_stack(home: Path) -> None:
    """Say that nothing runs."""
    _file(home).unlink(missing_ok=True)


def running_stack(home: Path) -> Stack | None:
    """The stack of a supervisor that is alive, or None."""
    stack = read_stack(home)
    return stack if stack is not None and is_alive(stack.supervisor) else None


def embedded_stack_bootstrap(home: Path) -> str | None:
    """Bootstrap servers of the stack that runs in this home; None if none does, or its broker is not up yet."""
    stack = running_stack(home)
    return stack.bootstrap_servers or None if stack else None


def _file(home: Path) -> Path:
    return home / "run" / "stack.json"
