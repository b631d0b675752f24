"""The read events of a stack, straight from Kafka."""

from __future__ import annotations

from contextlib import closing

from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_record
from memfold.schemas.partitions import ACCESS
from memfold.schemas.records import Envelope, LogRecord, MemoryRead
from memfold.serve.settings import Settings
from tests.serve.checks import reader_of, records

ReadEvent = tuple[Envelope, MemoryRead]


def access_records(settings: Settings) -> list[LogRecord]:
    """Every record of memfold.access."""
    with closing(reader_of(settings)) as reader:
        return [record for p in range(settings.partitions) for record in records(reader, ACCESS, p)]


def read_events(settings: Settings, kind: str, name: str) -> list[ReadEvent]:
    """Those on the log of a user, an agent or the tenant, in order."""
    with closing(KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())) as keys:
        subject = keys.known_subject(settings.tenant, kind, name)
        opened = [open_record(record, keys) for record in access_records(settings)]
    found = [(envelope, body) for envelope, body in opened if isinstance(body, MemoryRead)]
    assert len(found) == len(opened)
    return [(envelope, body) for envelope, body in found if envelope.subject == subject]
