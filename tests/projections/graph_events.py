"""Events for tests of the graph, written in a line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from memfold.projections.base import Position, Shard, fenced
from memfold.schemas.records import (
    Clear,
    Envelope,
    Event,
    MemoriesDecided,
    Operation,
    RelationChange,
    Scope,
)

START = datetime(2026, 3, 3, 9, tzinfo=UTC)
ALEX = "5b0c8a52-0d4e-4c43-9f0f-6f3a3f9a7a01"
KIM = "5b0c8a52-0d4e-4c43-9f0f-6f3a3f9a7a02"


def asserts(
    name: str,
    source: str,
    relationship: str,
    target: str,
    memory_id: str | None = None,
    types: tuple[str, str] = ("THING", "THING"),
    confidence: float = 1.0,
) -> RelationChange:
    """An ASSERT whose assertion id is `name` and whose evidence is the memory `of-<name>` if no other is given."""
    evidence = memory_id or f"of-{name}"
    return RelationChange("ASSERT", name, evidence, source, relationship, target, *types, confidence)


def retracts(name: str) -> RelationChange:
    return RelationChange("RETRACT", name, f"of-{name}", "?", "?", "?")


def event(
    offset: int,
    *relations: RelationChange,
    subject: str = ALEX,
    tenant: str = "acme",
    scope: Scope | None = None,
    clears: Sequence[Clear] = (),
) -> Event:
    """An event whose every ASSERT rests on a memory that it adds with `scope`."""
    scope = Scope(user_id="alex") if scope is None else scope
    memories = {relation.memory_id for relation in relations if relation.op == "ASSERT"}
    operations = [Operation("ADD", memory_id, 1, "said", scope) for memory_id in sorted(memories)]
    recorded_at = START + timedelta(seconds=offset)
    envelope = Envelope(
        record_id=str(uuid5(NAMESPACE_OID, f"event {offset}")),
        type="memories_decided",
        tenant=tenant,
        subject=subject,
        command_id=str(uuid5(NAMESPACE_OID, f"command {offset}")),
        occurred_at=recorded_at,
        body_schema=bytes(8),
        key_id="key",
        nonce=bytes(12),
        command_offset=offset,
    )
    body = MemoriesDecided("decided", operations=operations, relations=list(relations), clears=list(clears))
    return Event(0, offset, recorded_at, envelope, body)


def feed(shard: Shard, *events: Event) -> Position:
    """One batch; the position after it."""
    counted, position = fenced(events, shard.position())
    shard.apply(counted, position)
    return position
