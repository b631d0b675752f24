"""A small deployment on disk for the tests of seals: genuine commands and their events, archived and sealed, ready to be damaged."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import pyarrow as pa  # type: ignore[import-untyped]

from memfold.audit.findings import Report
from memfold.audit.notes import Verifier
from memfold.audit.seal_key import seal_verifier
from memfold.audit.sealing import Sealer
from memfold.audit.verifying import Evidence, Log, verify
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_files import read_segment, write_segment
from memfold.projections.archive_rows import SCHEMA, table_of
from memfold.projections.archive_segments import Segment, read_covers
from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import ACCESS, COMMANDS, EVENTS, key_of
from memfold.schemas.records import (
    AddRequested,
    Body,
    Envelope,
    Item,
    LogRecord,
    MemoriesDecided,
    Message,
    Operation,
    Scope,
)

EPOCH = datetime(2026, 3, 3, tzinfo=UTC)
MILLISECONDS = 1_772_496_000_000
PARTITIONS = 1


def memory_id(number: int) -> str:
    return str(uuid5(UUID(int=7), str(number)))


def written(
    keys: KeyStore, topic: str, number: int, user: str, body: Body, command_offset: int = -1
) -> LogRecord:
    """Record `number` of a topic, as memfold writes it."""
    subject = keys.subject_of("acme", "user", user)
    key_id, key = keys.sealing_key(subject)
    asked = {COMMANDS: f"{number}", ACCESS: f"read {number}"}.get(topic, f"{command_offset}")
    kind = {COMMANDS: "add_requested", ACCESS: "memory_read"}.get(topic, "memories_decided")
    envelope = Envelope(
        str(uuid5(UUID(int=4), f"{topic} {number}")), kind, "acme", subject, str(uuid5(UUID(int=1), asked)),
        EPOCH, b"", key_id, b"", command_offset, [] if topic == COMMANDS else [memory_id(number)],
    )  # fmt: skip
    value = encode(envelope, body, key)
    return LogRecord(topic, 0, number, MILLISECONDS + number, key_of("acme", subject), value)


def command(keys: KeyStore, number: int) -> LogRecord:
    body = AddRequested(Scope(f"user-{number % 3}"), [Item([Message("user", f"thing {number}")])])
    return written(keys, COMMANDS, number, f"user-{number % 3}", body)


def event(keys: KeyStore, number: int, command_offset: int | None = None) -> LogRecord:
    asked = number if command_offset is None else command_offset
    user = f"user-{asked % 3}"
    body = MemoriesDecided(
        "decided", operations=[Operation("ADD", memory_id(number), 1, f"thing {number}", Scope(user))]
    )
    return written(keys, EVENTS, number, user, body, asked)


@dataclass
class Deployment:
    """`commands` and `events` are what was archived; `seal` and `verify` as a worker and an auditor do them."""

    home: Path
    keys: KeyStore
    commands: list[LogRecord]
    events: list[LogRecord]

    @classmethod
    def of(cls, home: Path, keys: KeyStore, count: int = 60) -> Deployment:
        """`count` commands and their events, in segments of 20, sealed after each."""
        made = cls(
            home, keys, [command(keys, n) for n in range(count)], [event(keys, n) for n in range(count)]
        )
        for end in range(20, count + 1, 20):
            made.archive(made.commands[:end], made.events[:end])
            made.seal()
        return made

    def archive(self, *topics: list[LogRecord]) -> None:
        for records in topics:
            with closing(ArchiveShard(self.home / "archive", records[0].topic, 0)) as shard:
                shard.append(records)

    def seal(self) -> None:
        with closing(Sealer(self.home / "archive", self.home / "seals", PARTITIONS)) as sealer:
            sealer.seal()

    @property
    def verifier(self) -> Verifier:
        return seal_verifier(self.home / "seals")

    def verify(
        self,
        log: Log | None = None,
        against: Sequence[tuple[str, str]] = (),
        since: int = 0,
        records: bool = True,
        keys: bool = True,
    ) -> Report:
        opened_with = self.keys if keys else None
        return verify(
            Evidence(
                self.home / "archive", self.home / "seals", PARTITIONS, self.verifier, log, opened_with, against, since, records
            )
        )  # fmt: skip

    def segments(self, topic: str = EVENTS) -> list[Segment]:
        return read_covers(self.home / "archive", topic)[0]

    def rewrite(self, number: int, changed: pa.Table) -> Path:
        """Put other rows into an events segment, with fitting checksums."""
        segment = self.segments()[number]
        write_segment(segment, changed)
        return segment.path

    def table(self, number: int) -> pa.Table:
        return read_segment(self.segments()[number])


def with_column(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    place = SCHEMA.get_field_index(name)
    return table.set_column(place, SCHEMA.field(place), pa.array(values, SCHEMA.field(place).type))


def with_record(table: pa.Table, place: int, record: LogRecord) -> pa.Table:
    return pa.concat_tables([table.slice(0, place), table_of([record]), table.slice(place + 1)])
