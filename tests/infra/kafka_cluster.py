"""Kafka clusters on this machine, as tests want them: brokers that are killed by their recorded pid, and brokers that ask who comes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from memfold.infra.broker import kafka_runtime
from memfold.infra.broker_config import LOG4J2_PROPERTIES
from memfold.infra.kafka_runtime import KafkaRuntime, java_environment
from memfold.infra.ports import LOOPBACK, free_ports
from memfold.infra.processes import ProcessRecord, start_process, stop_process

_CLUSTER_ID = "bWVtZm9sZC10ZXN0LWNsdQ"
_UP = 60.0


@dataclass(slots=True)
class Node:
    """One broker that is controller too."""

    number: int
    folder: Path
    client: int
    controller: int
    host: str = LOOPBACK
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.client}"


@dataclass(slots=True)
class Cluster:
    """Nodes and how they are started.

    `clients`: settings of a confluent client that may do everything; `doors`: more listeners of each node.
    """

    nodes: Sequence[Node]
    runtime: KafkaRuntime
    settings: Mapping[str, str | int]
    clients: Mapping[str, str] = field(default_factory=dict)
    doors: Mapping[str, int] = field(default_factory=dict)
    _admin: AdminClient | None = None

    @property
    def bootstrap(self) -> str:
        return ",".join(node.address for node in self.nodes)

    def admin(self) -> AdminClient:
        """One for the cluster's life: its futures die with it."""
        if self._admin is None:
            reconnect = {"reconnect.backoff.max.ms": 500, "log_level": 0}
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, **reconnect, **self.clients})
        return self._admin

    def format(self, options: Sequence[str] = ()) -> None:
        for node in self.nodes:
            (node.folder / "tmp").mkdir(parents=True)
            (node.folder / "logs").mkdir()
            (node.folder / "server.properties").write_text(self._properties(node))
            (node.folder / "log4j2.properties").write_text(LOG4J2_PROPERTIES)
            program = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", "server.properties")
            argv = self.runtime.command(node.folder / "logs", (*program, *options))
            subprocess.run(argv, cwd=node.folder, env=java_environment(), check=True, capture_output=True)

    def start(self, *numbers: int) -> None:
        """Start these nodes, or all of them; returns at once."""
        for node in self.nodes:
            if (not numbers or node.number in numbers) and node.process is None:
                argv = self.runtime.command(node.folder / "logs", ("kafka.Kafka", "server.properties"))
                node.process = start_process(
                    argv, cwd=node.folder, env=java_environment(), output=node.folder / "console.log"
                )

    def kill(self, number: int) -> None:
        """kill -9, by the pid that was recorded when it was started."""
        node = self.nodes[number - 1]
        assert node.process is not None
        os.kill(node.process.pid, signal.SIGKILL)
        node.process.wait()
        node.process = None

    def stop(self) -> None:
        for node in self.nodes:
            if node.process is not None:
                stop_process(ProcessRecord.of("broker", node.process.pid), 1.0)
                node.process.wait()
                node.process = None

    def wait_brokers(self, count: int) -> None:
        """Until so many brokers are there and every partition has a leader."""
        admin, deadline = self.admin(), time.monotonic() + _UP
        while not _whole(admin, count):
            if time.monotonic() > deadline:
                ends = {n.number: (n.folder / "console.log").read_text()[-500:] for n in self.nodes}
                raise TimeoutError(f"no {count} brokers in {_UP:.0f} s: {ends}")
            time.sleep(0.1)

    def wait_in_sync(self) -> None:
        """Until every replica of every partition is in sync again."""
        admin, deadline = self.admin(), time.monotonic() + _UP
        while True:
            partitions = [
                p for t in admin.list_topics(timeout=5).topics.values() for p in t.partitions.values()
            ]
            if all(len(p.isrs) == len(p.replicas) for p in partitions):
                return
            assert time.monotonic() < deadline, "replicas did not come back in sync"
            time.sleep(0.1)

    def leader(self, topic: str, partition: int) -> int:
        return int(self.admin().list_topics(topic, timeout=10).topics[topic].partitions[partition].leader)

    def _properties(self, node: Node) -> str:
        voters = ",".join(f"{n.number}@{n.host}:{n.controller}" for n in self.nodes)
        replicas = len(self.nodes)
        doors = {"CLIENT": node.client, "CONTROLLER": node.controller, **self.doors}
        settings: dict[str, str | int] = {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "broker.rack": f"rack-{node.number}",
            "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "CLIENT",
            "listeners": ",".join(f"{name}://{node.host}:{port}" for name, port in doors.items()),
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": "data",
            "auto.create.topics.enable": "false",
            "message.max.bytes": 8 * 1024 * 1024,
            "replica.fetch.max.bytes": 8 * 1024 * 1024,
            "replica.lag.time.max.ms": 2000,
            "broker.session.timeout.ms": 2000,
            "broker.heartbeat.interval.ms": 500,
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 4,
            "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }
        return "".join(f"{name}={value}\n" for name, value in (settings | dict(self.settings)).items())


def _whole(admin: AdminClient, count: int) -> bool:
    try:
        metadata = admin.list_topics(timeout=1)
    except KafkaException:
        return False
    leaders = [p.leader for topic in metadata.topics.values() for p in topic.partitions.values()]
    return len(metadata.brokers) == count and all(leader >= 0 for leader in leaders)


@contextmanager
def running_cluster(
    folder: Path,
    nodes: int,
    settings: Mapping[str, str | int] | None = None,
    clients: Mapping[str, str] | None = None,
    format_options: Sequence[str] = (),
    doors: Mapping[str, int] | None = None,
    hosts: Sequence[str] = (),
) -> Iterator[Cluster]:
    """A cluster of `nodes`, up when the block begins and gone when it ends. `hosts`: their addresses; all on loopback if left out."""
    ports = free_ports(2 * nodes)
    made = [
        Node(
            n + 1, folder / f"node-{n + 1}", ports[2 * n], ports[2 * n + 1], (hosts or [LOOPBACK] * nodes)[n]
        )
        for n in range(nodes)
    ]
    cluster = Cluster(made, kafka_runtime(), settings or {}, clients or {}, doors or {})
    cluster.format(format_options)
    try:
        cluster.start()
        cluster.wait_brokers(nodes)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
