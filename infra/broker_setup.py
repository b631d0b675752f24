"""All that has to be in a home before the embedded broker can be started: ports, settings, formatted storage."""

from __future__ import annotations

import base64
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from memfold.infra.broker_config import LOG4J2_PROPERTIES, Ports, server_properties
from memfold.infra.errors import BrokerNotStarted
from memfold.infra.home import write_private
from memfold.infra.kafka_runtime import KafkaRuntime, java_environment
from memfold.infra.ports import free_ports, is_free
from memfold.infra.processes import start_process


@dataclass(frozen=True, slots=True)
class BrokerLaunch:
    """How to start the broker of one home, as often as needed, always on the same port."""

    bootstrap: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    output: Path
    fast_start: Path | None

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process; it takes writes some time later. Raises OSError."""
        return start_process(self.argv, cwd=self.folder, env=self.env, output=self.output)

    def ended_unready(self, status: int) -> None:
        """It ended before it took writes: if Java itself crashed, the next start is one without the fast-start file."""
        if self.fast_start is not None and status in _JAVA_CRASHED:
            self.fast_start.unlink(missing_ok=True)

    def error(self, how: str) -> BrokerNotStarted:
        """The error that says where to look."""
        log = self.output.with_name("broker.log")
        return BrokerNotStarted(
            f"Kafka at {self.bootstrap} {how}; the reason is at the end of {log} or {self.output}"
        )


_JAVA_CRASHED = frozenset({-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL})


def prepare_broker(home: Path, runtime: KafkaRuntime, options: Sequence[str] = ()) -> BrokerLaunch:
    """Make `<home>/kafka` ready to start from, with further Java `options`; formats its storage the first time.

    Needs the home to be held (`only_one`). Raises NoFreePort, BrokerNotStarted.
    """
    folder, logs = home / "kafka", home / "logs"
    ports = _ports(folder)
    write_private(folder / "server.properties", server_properties(ports).encode())
    write_private(folder / "log4j2.properties", LOG4J2_PROPERTIES.encode())
    shutil.rmtree(folder / "tmp", ignore_errors=True)  # native libraries that a killed broker left
    (folder / "tmp").mkdir(mode=0o700)
    if not (folder / "data").exists():
        _format(home, ports, runtime)
    return BrokerLaunch(
        bootstrap=ports.bootstrap,
        argv=runtime.command(logs, ("kafka.Kafka", "server.properties"), options),
        env=java_environment(),
        folder=folder,
        output=logs / "broker-console.log",
        fast_start=runtime.fast_start,
    )


def _ports(folder: Path) -> Ports:
    """The ports of the last start while they are free, so that clients find the broker again; else new ones."""
    record = folder / "ports.json"
    if record.exists():
        ports = msgspec.json.decode(record.read_bytes(), type=Ports)
        if is_free(ports.client) and is_free(ports.controller):
            return ports
    ports = Ports(*free_ports(2))
    write_private(record, msgspec.json.encode(ports))
    return ports


def _format(home: Path, ports: Ports, runtime: KafkaRuntime) -> None:
    """Format beside it and rename: storage that exists is storage that was formatted to the end.

    Under a name of its own: whoever started before may have been killed, and his tool still be at work.
    """
    folder, cluster = home / "kafka", _cluster_id()
    for left in folder.glob("data.*.new"):
        shutil.rmtree(left, ignore_errors=True)
    for left in folder.glob("format.*.properties"):
        left.unlink()
    new, settings = folder / f"data.{cluster}.new", folder / f"format.{cluster}.properties"
    write_private(settings, server_properties(ports, new.name).encode())
    program = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", settings.name)
    argv = runtime.command(home / "logs", program)
    done = subprocess.run(
        argv, cwd=folder, env=java_environment(), capture_output=True, text=True, umask=0o077
    )
    if done.returncode != 0:
        raise BrokerNotStarted(
            f"Kafka could not format {folder}: {(done.stderr or done.stdout).strip()[-2000:]}"
        )
    settings.unlink()
    new.rename(folder / "data")


def _cluster_id() -> str:
    """A random UUID as Kafka writes them: 22 characters of URL-safe base64. The tool takes one with `-` in front for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
