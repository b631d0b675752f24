"""What the embedded broker is told: server.properties and its log's settings."""

from __future__ import annotations

from dataclasses import dataclass

from memfold.infra.ports import LOOPBACK

LARGEST_MESSAGE = 8 * 1024 * 1024
"""Bytes. A batch of 1,000 memories with their vectors and the models' raw answers is about 2 MB."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the broker listens on 127.0.0.1: for clients, and for its own controller."""

    client: int
    controller: int

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.client}"


def server_properties(ports: Ports, data: str = "data") -> str:
    """The text of server.properties for one node that is broker and controller.

    `data` is relative to the folder that Kafka is started in: Kafka splits an absolute path at commas.
    An acknowledged record survives any kill of the process; a power cut may take what came in the last second.
    """
    return "".join(f"{name}={value}\n" for name, value in _settings(ports, data).items())


def _settings(ports: Ports, data: str) -> dict[str, str | int]:
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{ports.controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "listeners": f"CLIENT://{LOOPBACK}:{ports.client},CONTROLLER://{LOOPBACK}:{ports.controller}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        # The log is the truth: it is never trimmed, nobody adds a topic by a typing error, and the broker's clock counts.
        "log.retention.ms": -1,
        "log.retention.bytes": -1,
        "log.cleanup.policy": "delete",
        "log.message.timestamp.type": "LogAppendTime",
        "auto.create.topics.enable": "false",
        "log.flush.interval.ms": 1000,
        "log.flush.scheduler.interval.ms": 1000,
        "message.max.bytes": LARGEST_MESSAGE,
        "replica.fetch.max.bytes": LARGEST_MESSAGE,
        "min.insync.replicas": 1,
        # After a kill the old session must run out before the broker may serve again: 9 s by default. The heartbeat must
        # be well below it, or a healthy broker is fenced again and again.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        "group.initial.rebalance.delay.ms": 0,
        # One node and a handful of clients: few partitions for the broker's own topics, few threads, and not the 128 MB
        # that the compaction of those topics would set aside.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 4,
    }


LOG4J2_PROPERTIES = """\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=${sys:memfold.logs}/broker.log
appender.file.filePattern=${sys:memfold.logs}/broker.log.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=[%d{ISO8601}] %p %m (%c{1})%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=3
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
logger.server.name=kafka.server
logger.server.level=info
"""
