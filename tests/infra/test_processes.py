"""A recorded process is known again by pid and start time, and by nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from memfold.infra.processes import (
    ProcessRecord,
    clear_stale,
    how_it_ended,
    is_alive,
    read_records,
    start_process,
    stop_process,
    write_record,
)

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_alive_only_while_pid_and_start_time_are_its_own(sleeper: subprocess.Popen[bytes]) -> None:
    record = ProcessRecord.of("sleeper", sleeper.pid)
    assert is_alive(record)
    assert not is_alive(replace(record, started=record.started - 60, born=""))
    assert not is_alive(replace(record, born=f"{record.born}0"))
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(record), "a process that only waits to be reaped is not alive"
    sleeper.wait()
    assert not is_alive(record)


def test_it_is_known_again_after_the_clock_was_corrected(sleeper: subprocess.Popen[bytes]) -> None:
    """The start of every process moves with the clock: an hour forward, as who recorded it before sees it."""
    record = ProcessRecord.of("sleeper", sleeper.pid)
    if not record.born:
        pytest.skip("only Linux tells when a process was born by no clock")
    assert is_alive(replace(record, started=record.started - 3600))


def test_an_innocent_process_with_a_recorded_pid_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    reused = replace(ProcessRecord.of("broker", sleeper.pid), started=time.time() - 3600, born="")
    write_record(tmp_path, reused)
    assert clear_stale(tmp_path, deadline=1) == []
    assert stop_process(reused, deadline=1)
    assert sleeper.poll() is None
    assert read_records(tmp_path) == []


def test_what_a_crashed_run_left_is_stopped_the_broker_last(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    code = f"import signal, sys; signal.sigwait({{signal.SIGTERM}}); open({str(ended)!r}, 'a').write(sys.argv[1] + ' ')"
    blocked = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}}); print('up', flush=True); {code}"
    left = []
    for role in ("broker", "archive", "vector"):
        process = subprocess.Popen([sys.executable, "-c", blocked, role], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        write_record(tmp_path, ProcessRecord.of(role, process.pid))
        left.append(process)
    cleared = clear_stale(tmp_path, deadline=10)
    assert [record.role for record in cleared] == ["archive", "vector", "broker"]
    assert ended.read_text() == "archive vector broker "
    for process in left:
        process.communicate()


def test_a_process_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    child_too = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True); "
    output = tmp_path / "output"
    process = start_process(
        [sys.executable, "-c", child_too + DEAF], cwd=tmp_path, env=dict(os.environ), output=output
    )
    until(lambda: "deaf" in output.read_text())
    child = ProcessRecord.of("child", int(output.read_text().split()[0]))
    assert not stop_process(ProcessRecord.of("parent", process.pid), deadline=0.3)
    assert process.wait() == -signal.SIGKILL
    until(lambda: not is_alive(child))


def test_it_is_in_a_session_of_its_own_and_its_output_is_private(tmp_path: Path) -> None:
    output = tmp_path / "output"
    process = start_process(["sleep", "600"], cwd=tmp_path, env={}, output=output)
    assert os.getsid(process.pid) == process.pid
    assert output.stat().st_mode & 0o777 == 0o600
    process.terminate()
    assert how_it_ended(process.wait()) == "was ended by signal 15"


def test_a_long_output_is_set_aside(tmp_path: Path) -> None:
    output = tmp_path / "worker.log"
    output.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    start_process(["echo", "new"], cwd=tmp_path, env=dict(os.environ), output=output).wait()
    assert output.read_text() == "new\n"
    assert (tmp_path / "worker.log.1").exists()


def test_a_file_that_is_no_record_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "vector.json").write_bytes(b"\0\0\0")
    (tmp_path / "stack.json").write_bytes(b"{}")
    assert read_records(tmp_path) == []
    assert "vector.json is not the record of a process" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]


def until(condition: object, seconds: float = 10) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
