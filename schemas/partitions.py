"""Which partition a subject lives in: Kafka's own default, so that producers in any language agree.

murmur2 of the key, sign bit cleared, modulo the partition count (org.apache.kafka.clients.producer.internals.BuiltInPartitioner).
"""

from __future__ import annotations

from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]

COMMANDS = "memfold.commands"
EVENTS = "memfold.events"
QUARANTINE = "memfold.quarantine"
SEALS = "memfold.seals"
ACCESS = "memfold.access"
KEPT = (COMMANDS, EVENTS, ACCESS)
"""The topics that are partitioned by subject: archived, sealed and verified."""
Tree = tuple[str, int]
"""Topic and partition: each is one tree of the seals."""

CLEARS = "*"
"""In the memory_ids of an event that takes memories out of view, or of a read that gave memories, which it does not list."""


def key_of(tenant: str, subject: str) -> bytes:
    """The record key: unit of order in the log."""
    return f"{tenant}/{subject}".encode()


def partition_of(tenant: str, subject: str, partitions: int) -> int:
    """The partition of a subject's commands and events among `partitions`."""
    return partition_of_key(key_of(tenant, subject), partitions)


def partition_of_key(key: bytes, partitions: int) -> int:
    """The partition of a record with this key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def trees_of(partitions: int) -> list[Tree]:
    """Every partition of the topics that are kept, of a log with so many."""
    return [(topic, partition) for topic in KEPT for partition in range(partitions)]
