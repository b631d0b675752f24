"""Servers that are one jar from Maven Central, run on the Java that also runs the broker: fetched once, pinned, never linked."""

from __future__ import annotations

import subprocess
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from jgo.maven import MavenContext
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from memfold.infra.java import find_java
from memfold.infra.kafka_jars import cache_root

SECONDS_TO_START = 60


class Jar(NamedTuple):
    group: str
    name: str
    version: str
    classifier: str
    sha256: str

    def path(self) -> Path:
        """Where it is kept. Skips the test where it cannot be fetched; fails where it is another one."""
        maven = MavenContext(repo_cache=cache_root() / "servers", timeout=60)
        component = maven.project(self.group, self.name).at_version(self.version)
        try:
            found = Path(component.artifact(self.classifier).resolve())
        except (OSError, RuntimeError) as error:
            pytest.skip(f"{self.name} {self.version} cannot be fetched from Maven Central: {error}")
        with found.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        assert digest == self.sha256, f"{found} is not the {self.name} that is pinned: remove it"
        return found

    def start(self, log: Path, options: list[str], url: str) -> subprocess.Popen[bytes]:
        """A process that answers at `url`, whatever it answers."""
        command = [str(find_java().executable), "-Xmx256m", "-jar", str(self.path()), *options]
        with log.open("ab") as written:
            # What a server writes beside its data (Fuseki: a folder `run`) is the test's too.
            process = subprocess.Popen(command, stdout=written, stderr=written, cwd=log.parent)
        away = retry_if_exception_type(httpx2.TransportError)
        attempts = Retrying(
            stop=stop_after_delay(SECONDS_TO_START), wait=wait_fixed(0.1), retry=away, reraise=True
        )
        attempts(httpx2.get, url)
        return process
