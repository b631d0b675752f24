"""Logs for the tests of the audit room: real sealed records out of events, a key store, and a log that can be read behind an offset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from msgspec.structs import replace

from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS, key_of
from memfold.schemas.records import Clear, Event, LogRecord, MemoriesDecided, Operation, Scope
from tests.strategies import EPOCH, OWNERS, Owner, history

KEK = bytes(range(32))


def subject_of(keys: KeyStore, event: Event) -> str:
    """The key store's subject in place of the strategies' fixed one."""
    tenant, subject = event.envelope.tenant, event.envelope.subject
    for owner in OWNERS:
        if (owner.tenant, owner.subject) == (tenant, subject):
            return keys.subject_of(tenant, "user", owner.user_id)
    return keys.subject_of(tenant, "tenant", tenant)


def sealed(event: Event, keys: KeyStore) -> LogRecord:
    """The record of an event, as `decide` writes it."""
    envelope = event.envelope
    subject = subject_of(keys, event)
    key_id, key = keys.sealing_key(subject)
    marker = ["*"] if event.body.clears else []
    envelope = replace(envelope, subject=subject, key_id=key_id, memory_ids=[*marker, *envelope.memory_ids])
    return LogRecord(
        EVENTS,
        event.partition,
        event.offset,
        int(event.recorded_at.timestamp() * 1000),
        key_of(envelope.tenant, subject),
        encode(envelope, event.body, key),
    )


def log_of(events: Iterable[Event], keys: KeyStore) -> list[LogRecord]:
    """The whole partition: offsets that the history leaves out are filled with bytes that are no record of memfold's."""
    records: list[LogRecord] = []
    for event in events:
        for offset in range(len(records), event.offset):
            rubbish = Random(offset).randbytes(offset % 90)
            records.append(LogRecord(EVENTS, event.partition, offset, 0, b"", rubbish))
        records.append(sealed(event, keys))
    return records


class ListTail:
    """A log in memory; `asked` holds the offsets behind which its events were read, `others` records of other topics."""

    def __init__(self, *partitions: Sequence[LogRecord], others: Sequence[LogRecord] = ()) -> None:
        self.partitions = [list(records) for records in partitions]
        self.others = others
        self.asked: list[int] = []

    def records_after(self, topic: str, partition: int, offset: int) -> list[LogRecord]:
        if topic != EVENTS:
            return [record for record in self.others if record.topic == topic and record.offset > offset]
        self.asked.append(offset)
        return self.partitions[partition][offset + 1 :]


@dataclass
class Script:
    """Writes events one after the other; `again` gives the command offset of an earlier one."""

    events: list[Event] = field(default_factory=list)

    def __call__(
        self, owner: Owner, *operations: Operation, clears: Sequence[Clear] = (), again: int | None = None
    ) -> Script:
        offset = len(self.events)
        command = offset * 2 if again is None else again
        envelope = replace(
            history(Random(1), 1)[0].envelope,
            record_id=f"event {offset}",
            tenant=owner.tenant,
            subject=owner.subject,
            command_id=f"command {command}",
            command_offset=command,
            memory_ids=[operation.memory_id for operation in operations],
        )
        body = MemoriesDecided("decided", operations=list(operations), clears=list(clears))
        self.events.append(Event(0, offset, EPOCH, envelope, body))
        return self


def written(op: str, memory_id: str, version: int, text: str) -> Operation:
    return Operation(op, memory_id, version, text, Scope("alex"))
