"""The fast-start file is an optimisation: whatever is wrong with it, the broker starts."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from memfold.infra import fast_start
from memfold.infra.broker_setup import BrokerLaunch
from memfold.infra.java import Java
from memfold.infra.kafka_jars import Progress, no_progress
from memfold.infra.kafka_runtime import KafkaRuntime

RUNTIME = KafkaRuntime(Java(Path("java"), "25.0.2"), ())


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the jars; training writes a few bytes instead of running a broker."""

    def train(runtime: KafkaRuntime, folder: Path, key: str, progress: Progress) -> Path:
        return fast_start.keep(folder, key, written)

    written = tmp_path / "written"
    written.write_bytes(b"classes")
    monkeypatch.setattr(fast_start, "_train", train)
    folder = tmp_path / "kafka"
    folder.mkdir()
    return folder


def test_it_is_trained_once(trained: Path) -> None:
    first = fast_start.with_fast_start(RUNTIME, trained, no_progress)
    assert first.fast_start is not None
    assert fast_start.with_fast_start(RUNTIME, trained, no_progress) == first
    assert f"-XX:AOTCache={first.fast_start}" in first.command(Path("logs"), ("kafka.Kafka",))


def test_a_damaged_one_is_removed_and_the_broker_starts_without(
    trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = fast_start.with_fast_start(RUNTIME, trained, no_progress).fast_start
    assert file is not None
    file.write_bytes(b"clashes")
    assert (
        fast_start.with_fast_start(RUNTIME, trained, no_progress).fast_start is None
    )  # nothing left to rename
    assert not file.exists()
    assert "Kafka starts without its fast-start file" in caplog.text


def test_another_java_has_another_file(trained: Path, tmp_path: Path) -> None:
    one = fast_start.with_fast_start(RUNTIME, trained, no_progress).fast_start
    (tmp_path / "written").write_bytes(b"classes")
    newer = replace(RUNTIME, java=Java(Path("java"), "25.0.3"))
    other = fast_start.with_fast_start(newer, trained, no_progress).fast_start
    assert one is not None
    assert other is not None
    assert one != other
    assert one.exists()


def test_an_older_java_has_none(trained: Path) -> None:
    older = replace(RUNTIME, java=Java(Path("java"), "21.0.2"))
    assert fast_start.with_fast_start(older, trained, no_progress) == older


@pytest.mark.parametrize(("status", "stays"), [(-signal.SIGSEGV, False), (-signal.SIGKILL, True), (1, True)])
def test_it_goes_only_when_java_itself_crashed(status: int, stays: bool, tmp_path: Path) -> None:
    file = tmp_path / "file.aot"
    file.write_bytes(b"")
    launch = BrokerLaunch("127.0.0.1:1", (), {}, tmp_path, tmp_path, file)
    launch.ended_unready(status)
    assert file.exists() is stays
