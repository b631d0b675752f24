"""Processes that are recorded when they start, so that they are known again after a crash: by pid and start time, never by name."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from memfold.infra.birth import birth_of
from memfold.infra.home import write_private

log = logging.getLogger(__name__)

_SAME_START = 2.0  # seconds; the boot time, which start times are counted from, moves when the machine's clock is corrected
_POLL = 0.05
_LARGEST_OUTPUT = (
    10 * 1024 * 1024
)  # bytes that a start still appends to; more are set aside, and what was aside goes


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """Who a process was when it was started: what it is for, its pid, and when it started (seconds since the epoch).

    `born`: the same by no clock (birth.py), "" where that is not known; then the start decides.
    """

    role: str
    pid: int
    started: float
    born: str = ""

    @classmethod
    def of(cls, role: str, pid: int) -> ProcessRecord:
        """The record of a process that exists now; raises psutil.NoSuchProcess if it does not."""
        return cls(role, pid, psutil.Process(pid).create_time(), birth_of(pid))


def start_process(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to `output`.

    In its own session, Ctrl-C in a terminal reaches who started it and not the process, so that a stack can be stopped in order.
    """
    if output.exists() and output.stat().st_size > _LARGEST_OUTPUT:
        output.replace(output.with_name(f"{output.name}.1"))
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            umask=0o077,
        )


def how_it_ended(status: int) -> str:
    """A process's end in words, from its exit status as `subprocess` gives it."""
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def is_alive(record: ProcessRecord) -> bool:
    """Whether this very process still runs: the same pid and the same start. A process that only waits to be reaped does not."""
    return _find(record) is not None


def stop_process(record: ProcessRecord, deadline: float) -> bool:
    """Ask it to end (SIGTERM); after `deadline` seconds kill it and what it started in its session. True if it ended by itself.

    Does nothing to a process that only has the pid of the recorded one.
    """
    process = _find(record)
    if process is None:
        return True
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    if _gone_within(record, deadline):
        return True
    log.warning("%s (pid %d) did not end in %.0f s and is killed", record.role, record.pid, deadline)
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        if os.getpgid(record.pid) == record.pid:
            os.killpg(record.pid, signal.SIGKILL)
        else:
            process.kill()
    _gone_within(record, deadline)
    return False


def write_record(run: Path, record: ProcessRecord) -> None:
    """Keep the record in the folder `run` as `<role>.json`."""
    write_private(run / f"{record.role}.json", msgspec.json.encode(record))


def remove_record(run: Path, role: str) -> None:
    """Forget the record of a role."""
    (run / f"{role}.json").unlink(missing_ok=True)


def read_records(run: Path) -> list[ProcessRecord]:
    """All records in the folder. A file that is no record is reported and removed: no process can be told from it."""
    records = []
    for path in sorted(run.glob("*.json")):
        if path.name == "stack.json":
            continue
        try:
            records.append(msgspec.json.decode(path.read_bytes(), type=ProcessRecord))
        except msgspec.DecodeError:
            log.warning("%s is not the record of a process and is removed", path)
            path.unlink()
    return records


def clear_stale(run: Path, deadline: float, last: str = "broker") -> list[ProcessRecord]:
    """Stop what a crashed run left behind, the role `last` after all others; returns what was still alive."""
    records = sorted(read_records(run), key=lambda record: record.role == last)
    alive = [record for record in records if is_alive(record)]
    for record in records:
        stop_process(record, deadline)
        remove_record(run, record.role)
    return alive


def _find(record: ProcessRecord) -> psutil.Process | None:
    try:
        process = psutil.Process(record.pid)
        born = birth_of(record.pid)
        same = (
            born == record.born
            if born and record.born
            else abs(process.create_time() - record.started) <= _SAME_START
        )
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _gone_within(record: ProcessRecord, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while is_alive(record):
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL)
    return True
