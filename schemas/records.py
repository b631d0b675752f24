"""The bodies and the envelope as Python types; each mirrors the newest `.avsc` of its name, field by field.

They are msgspec structs because a fold builds a hundred thousand of them a second. Times are aware datetimes in UTC, ids are
UUIDs as text, vectors are float16 little-endian bytes.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Scope(Struct, frozen=True):
    """The ids a memory belongs to; as a filter, None matches anything."""

    user_id: str | None = None
    agent_id: str | None = None
    run_id: str | None = None
    actor_id: str | None = None

    def covers(self, other: Scope) -> bool:
        """Whether every id that is set here is the same there."""
        return all(
            mine is None or mine == theirs for mine, theirs in zip(self.ids(), other.ids(), strict=True)
        )

    def ids(self) -> tuple[str | None, str | None, str | None, str | None]:
        return (self.user_id, self.agent_id, self.run_id, self.actor_id)


class Message(Struct, frozen=True):
    role: str
    content: str
    name: str | None = None


class Item(Struct, frozen=True):
    messages: list[Message]
    metadata: str = "{}"
    said_at: datetime | None = None


class AddRequested(Struct, frozen=True):
    scope: Scope
    items: list[Item]
    infer: bool = True


class UpdateRequested(Struct, frozen=True):
    memory_id: str
    text: str
    metadata: str | None = None
    actor_id: str | None = None


class DeleteRequested(Struct, frozen=True):
    memory_id: str
    actor_id: str | None = None


class ClearRequested(Struct, frozen=True):
    scope: Scope
    whole_tenant: bool = False


class RetryRequested(Struct, frozen=True):
    scope: Scope


class MergeRequested(Struct, frozen=True):
    entity: str
    into: str
    actor_id: str | None = None


class SplitRequested(Struct, frozen=True):
    entity: str
    name: str
    actor_id: str | None = None


class TakenBack(Struct, frozen=True):
    """A command that counts no longer; with `memory_id`, only what it did to that memory."""

    command_id: str
    memory_id: str = ""


class RevokeRequested(Struct, frozen=True):
    commands: list[TakenBack]
    verb: str
    reason: str
    actor_id: str | None = None


class Review(Struct, frozen=True):
    memory_id: str
    command_id: str
    why: str


class Fact(Struct, frozen=True):
    text: str
    kind: str = "miscellaneous"
    item: int = 0
    message: int = 0
    confidence: float = 1.0
    speaker: str = ""
    when: str = ""


class Operation(Struct, frozen=True):
    op: str
    memory_id: str
    version: int
    text: str
    scope: Scope
    item: int = 0
    previous_text: str | None = None
    role: str | None = None
    metadata: str = "{}"
    said_at: datetime | None = None
    vector: bytes | None = None
    kind: str = ""
    pending: bool = False
    fact: int = -1
    said: str = ""
    said_count: int = 0
    when: str = ""
    restores: str = ""


class RelationChange(Struct, frozen=True, omit_defaults=True):
    op: str
    assertion_id: str
    memory_id: str
    source: str
    relationship: str
    target: str
    source_type: str = "THING"
    target_type: str = "THING"
    confidence: float = 1.0
    said_as: str = ""
    source_entity: str = ""
    target_entity: str = ""
    source_which: str = ""
    target_which: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    restores: str = ""


class ImportedVersion(Struct, frozen=True):
    op: str
    text: str
    at: datetime | None = None
    actor_id: str | None = None
    role: str | None = None
    metadata: str = "{}"
    kind: str = ""
    when: str = ""
    pending: bool = False


class ImportRequested(Struct, frozen=True):
    memory_id: str
    source: str
    scope: Scope
    versions: list[ImportedVersion]
    relations: list[RelationChange] = []


IMPORTED = "imported from "
"""How the reason of an event begins that took a memory in from elsewhere; the source follows."""


class Clear(Struct, frozen=True):
    scope: Scope
    whole_tenant: bool = False


class ModelCall(Struct, frozen=True):
    purpose: str
    provider: str
    model: str
    prompt_hash: str = ""
    answer: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float = 0.0
    attempts: int = 1
    error: str = ""
    prompt_version: str = ""
    shown: list[str] = []


class MemoriesDecided(Struct, frozen=True):
    outcome: str
    reason: str = ""
    facts: list[Fact] = []
    operations: list[Operation] = []
    relations: list[RelationChange] = []
    clears: list[Clear] = []
    calls: list[ModelCall] = []
    embedder: str = ""
    taken_back: list[TakenBack] = []
    reviews: list[Review] = []


class MemoryRead(Struct, frozen=True):
    verb: str
    decision: str
    actor: str
    error: str = ""
    purpose: str = ""
    count: int = 0
    query_hash: bytes = b""
    agent_id: str | None = None
    run_id: str | None = None
    as_of: datetime | None = None
    duration_ms: float = 0.0
    strict: bool = False


Command = (
    AddRequested
    | UpdateRequested
    | DeleteRequested
    | ClearRequested
    | RetryRequested
    | MergeRequested
    | SplitRequested
    | RevokeRequested
    | ImportRequested
)
Body = Command | MemoriesDecided | MemoryRead


class Envelope(Struct, frozen=True):
    """The clear part of a record; see envelope.v1.avsc for what each field means."""

    record_id: str
    type: str
    tenant: str
    subject: str
    command_id: str
    occurred_at: datetime
    body_schema: bytes
    key_id: str
    nonce: bytes
    command_offset: int = -1
    memory_ids: list[str] = []


class LogRecord(Struct, frozen=True):
    """One record as the log holds it: exact bytes, place, and the broker's time in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes
    traceparent: bytes = b""
    """Which trace it belongs to: of a record that is followed live while traces are on. No part of what the log proves or keeps."""


class Event(Struct, frozen=True):
    """An opened record of memfold.events: what the folds apply."""

    partition: int
    offset: int
    recorded_at: datetime
    envelope: Envelope
    body: MemoriesDecided
