"""Commands of the full log, found by their id or by who asked them, with what they may have done."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from memfold.audit.bounds import Bounds
from memfold.audit.errors import UnknownRecord
from memfold.audit.full_log import FullLog
from memfold.audit.reading import Reading
from memfold.audit.snapshot import Snapshot
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import open_record
from memfold.schemas.records import (
    AddRequested,
    Body,
    ClearRequested,
    Command,
    Envelope,
    ImportRequested,
    LogRecord,
    MemoriesDecided,
    MemoryRead,
    Operation,
    RetryRequested,
)


class Asked(NamedTuple):
    """A genuine command and its partition."""

    envelope: Envelope
    command: Command
    partition: int

    def for_whole_tenant(self) -> bool:
        return isinstance(self.command, ClearRequested) and self.command.whole_tenant

    def by(self, actor: str) -> bool:
        """Whether the whole command was asked by an actor or an agent."""
        command = self.command
        if isinstance(command, AddRequested | ClearRequested | RetryRequested | ImportRequested):
            return actor in (command.scope.actor_id, command.scope.agent_id)
        return command.actor_id == actor

    def partly_by(self, actor: str) -> bool:
        """Whether one of its messages bears the actor's name."""
        return isinstance(self.command, AddRequested) and any(
            message.name == actor for item in self.command.items for message in item.messages
        )

    def speaks(self, done: Operation, body: MemoriesDecided, actor: str) -> bool:
        """Whether an operation comes from a message that bears the actor's name."""
        if isinstance(self.command, AddRequested) and 0 <= done.fact < len(body.facts):
            return self.command.items[done.item].messages[body.facts[done.fact].message].name == actor
        return done.scope.actor_id == actor


def by_id(log: FullLog, tenant: str, record_id: str) -> Asked:
    """The command of an id, or the one that the event of that id answers. Raises UnknownRecord."""
    events = log.events.ask(lambda snapshot: snapshot.record(tenant, record_id))
    command_ids = [envelope.command_id for envelope, _ in _opened(log, events)]
    for command_id in [*command_ids, record_id]:
        records = log.commands.ask(partial(Snapshot.record, tenant=tenant, record_id=command_id))
        if found := _commands(log, tenant, records):
            return found[0]
    raise UnknownRecord(f"no command or event of this tenant that can be read has the id {record_id}")


def asked_by(log: FullLog, bounds: Bounds, actor: str) -> list[Asked]:
    """The commands inside the bounds that an actor or agent asked, or spoke in, in log order. Raises TooMuchToOpen."""
    subjects = None if bounds.subject is None else {bounds.subject}
    places = log.commands.ask(lambda snapshot: Reading(log.keys).places(snapshot, bounds, subjects))
    found = _commands(log, bounds.tenant, [record for _, record in places])
    return [asked for asked in found if asked.by(actor) or asked.partly_by(actor)]


def _commands(log: FullLog, tenant: str, records: Sequence[LogRecord]) -> list[Asked]:
    return [
        Asked(envelope, body, record.partition)
        for record in records
        for envelope, body in _opened(log, [record])
        if envelope.tenant == tenant and not isinstance(body, MemoriesDecided | MemoryRead)
    ]


def _opened(log: FullLog, records: Sequence[LogRecord]) -> list[tuple[Envelope, Body]]:
    """What is genuine of them: erased, forged and foreign records are nobody's command."""
    found: list[tuple[Envelope, Body]] = []
    for record in records:
        try:
            found.append(open_record(record, log.keys))
        except (KeyDestroyed, Unreadable, UnknownKey):
            continue
    return found
