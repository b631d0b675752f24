"""Whether a broker takes writes: found out by asking it, not by what it logs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

_POLL = 0.1
_PROBE = "memfold.probe"


def wait_writable(bootstrap: str, running: Callable[[], bool], timeout: float) -> bool:
    """Wait until every partition has a leader and the controller would create a topic; nothing is created.

    False when `running` turns false or `timeout` seconds have passed.
    """
    until = time.monotonic() + timeout
    # Without this, librdkafka would back off from a broker that is not there yet, and say so on the console.
    if not _wait_for(lambda: _accepts(bootstrap), running, until):
        return False
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
    return _wait_for(lambda: _has_leaders(admin) and _would_create(admin), running, until)


def _wait_for(condition: Callable[[], bool], running: Callable[[], bool], until: float) -> bool:
    while not condition():
        if time.monotonic() >= until or not running():
            return False
        time.sleep(_POLL)
    return True


def _accepts(bootstrap: str) -> bool:
    host, _, port = bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _has_leaders(admin: AdminClient) -> bool:
    try:
        metadata = admin.list_topics(timeout=1)
    except KafkaException:
        return False
    leaders = [
        partition.leader for topic in metadata.topics.values() for partition in topic.partitions.values()
    ]
    return bool(metadata.brokers) and all(leader >= 0 for leader in leaders)


def _would_create(admin: AdminClient) -> bool:
    probe = NewTopic(_PROBE, num_partitions=1, replication_factor=1)
    answers = admin.create_topics([probe], validate_only=True, operation_timeout=1, request_timeout=1)
    try:
        answers[_PROBE].result()
    except KafkaException:
        return False
    return True
