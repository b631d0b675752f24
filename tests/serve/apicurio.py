"""A real schema registry, Apicurio's, by its Confluent-compatible API: from Maven Central, pinned, on the Java of the broker."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

import httpx2
import pytest
from jgo.maven import MavenContext
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from memfold.infra.java import find_java
from memfold.infra.kafka_jars import cache_root
from memfold.infra.ports import free_ports

VERSION = "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
NEEDS_JAVA = 21
SECONDS_TO_START = 240


def _distribution() -> Path:
    """158 MB, once a machine. Skips where it cannot be fetched."""
    maven = MavenContext(repo_cache=cache_root() / "servers", timeout=120)
    component = maven.project("io.apicurio", "apicurio-registry-app").at_version(VERSION)
    try:
        found = Path(component.artifact("all", "tar.gz").resolve())
    except (OSError, RuntimeError) as error:
        pytest.skip(f"Apicurio Registry {VERSION} cannot be fetched from Maven Central: {error}")
    with found.open("rb") as file:
        assert file_digest(file, "sha256").hexdigest() == SHA256, f"{found} is not the one that is pinned"
    return found


@contextmanager
def apicurio(folder: Path) -> Iterator[str]:
    """The URL of a registry that runs for the length of the block and keeps nothing."""
    java = find_java()
    if java.major < NEEDS_JAVA:
        pytest.skip(f"Apicurio Registry needs Java {NEEDS_JAVA}, this is {java.version}")
    with tarfile.open(_distribution()) as archive:
        archive.extractall(folder, filter="data")
    port, management = free_ports(2)
    options = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": port,
        "quarkus.management.host": "127.0.0.1",
        "quarkus.management.port": management,
        "apicurio.storage.kind": "sql",
        "apicurio.storage.sql.kind": "h2",
    }
    given = [f"-D{name}={value}" for name, value in options.items()]
    command = [str(java.executable), "-Xmx512m", *given, "-jar", str(folder / "quarkus-run.jar")]
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        away = retry_if_exception_type(httpx2.TransportError)
        until = Retrying(
            stop=stop_after_delay(SECONDS_TO_START), wait=wait_fixed(0.2), retry=away, reraise=True
        )
        until(httpx2.get, f"{url}/subjects").raise_for_status()
        yield url
    finally:
        process.kill()
        process.wait()
