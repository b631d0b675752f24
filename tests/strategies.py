"""Hypothesis strategies that several rooms share: texts, scopes, operations, and whole histories of events.

A history is what one partition of memfold.events may hold: several subjects of two tenants, memories that are added, updated,
deleted, cleared and restored, relations asserted and retracted, offsets with gaps, and events that a retry or a zombie worker wrote again.
`history` takes any `random.Random`, so tests that need thousands of events draw them from a seed with the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from hypothesis import strategies as st
from msgspec.structs import replace

from memfold.memory.entities import entity_key
from memfold.schemas.records import (
    Clear,
    Envelope,
    Event,
    MemoriesDecided,
    Operation,
    RelationChange,
    Scope,
)

DIMENSIONS = 4
EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
NASTY = [
    "",
    "I like coffee",
    "☕ naïve e\u0301",
    "' OR 1=1 --",
    '"; DROP',
    "back\\slash",
    "nul\0",
    "line\n> <b",
    "שלום",
]


@dataclass(frozen=True)
class Owner:
    tenant: str
    subject: str
    user_id: str


OWNERS = [
    Owner("acme", "5b0c8a52-0d4e-4c43-9f0f-6f3a3f9a7a01", "alex"),
    Owner("acme", "5b0c8a52-0d4e-4c43-9f0f-6f3a3f9a7a02", "kim"),
    Owner("zeta", "5b0c8a52-0d4e-4c43-9f0f-6f3a3f9a7a03", "alex"),
]
_TENANT_SUBJECTS = {
    "acme": "00000000-0000-4000-8000-000000000001",
    "zeta": "00000000-0000-4000-8000-000000000002",
}
_AGENTS = [None, None, "planner", "a'b"]
_RUNS = [None, None, None, "run-1"]
_PEOPLE = ["alex", "Sarah", "Google", "Google Inc.", "tea", 'a"b>c']
_RELATIONSHIPS = ["WORKS_AT", "MET", "LIKES"]


def unit_vector(seed: int, dimensions: int = DIMENSIONS) -> bytes:
    """A vector of length 1 as the log holds it: float16, little-endian."""
    vector = np.random.default_rng(seed).normal(size=dimensions)
    return (vector / np.linalg.norm(vector)).astype("<f2").tobytes()


@dataclass
class World:
    """What the events so far made true: what the next event needs in order to fit them."""

    random: Random
    dimensions: int
    live: dict[str, tuple[Owner, Operation]] = field(default_factory=dict)
    gone: dict[str, tuple[Owner, Operation]] = field(default_factory=dict)
    asserted: dict[str, RelationChange] = field(default_factory=dict)

    def decided(self, owner: Owner, command_id: str) -> MemoriesDecided:
        """The answer to one command of `owner`: at most one operation a memory."""
        operations: dict[str, Operation] = {}
        for ordinal in range(self.random.randint(0, 4)):
            operation = self.operation(owner, str(uuid5(NAMESPACE_OID, f"{command_id}/{ordinal}")))
            operations.setdefault(operation.memory_id, operation)
        relations = [change for done in operations.values() for change in self._relations(command_id, done)]
        return MemoriesDecided("decided", operations=list(operations.values()), relations=relations)

    def operation(self, owner: Owner, new_id: str) -> Operation:
        op = self.random.choice(["ADD", "ADD", "ADD", "UPDATE", "UPDATE", "DELETE", "NONE"])
        gone = [operation for held_by, operation in self.gone.values() if held_by == owner]
        if gone and self.random.random() < 0.1:
            old = self.random.choice(gone)
            return self._written("RESTORE", old.memory_id, old.version + 2, old.scope)
        # One in eight names a memory that is no longer there, as a decision made on a stale view would.
        known = self.gone if self.random.random() < 0.125 else self.live
        mine = [operation for held_by, operation in known.values() if held_by == owner]
        if op == "ADD" or not mine:
            return self._written("ADD", new_id, 1, self._scope(owner))
        old = self.random.choice(mine)
        if op == "UPDATE":
            return replace(
                self._written(op, old.memory_id, old.version + 1, old.scope), previous_text=old.text
            )
        return replace(old, op=op, previous_text=old.text, vector=None)

    def _written(self, op: str, memory_id: str, version: int, scope: Scope) -> Operation:
        said = self.random.choice([None, EPOCH - timedelta(microseconds=self.random.randint(1, 10**12))])
        return Operation(
            op=op,
            memory_id=memory_id,
            version=version,
            text=self.random.choice(NASTY) + str(self.random.randint(0, 999)),
            scope=scope,
            role=self.random.choice([None, "user", "assistant"]),
            metadata=self.random.choice(["{}", '{"topic": "köln", "n": 1}']),
            said_at=said,
            vector=unit_vector(self.random.randint(0, 2**32), self.dimensions),
            kind=self.random.choice(["", "preferences", "health"]),
            pending=self.random.random() < 0.2,
            said=self.random.choice(["", "5a1d"]),
            said_count=self.random.choice([0, 1, 2]),
            when=self.random.choice(["", "2026-11", "2026-03-01/2026-03-08"]),
        )

    def _scope(self, owner: Owner) -> Scope:
        actor = self.random.choice([None, "alex", "bot"])
        return Scope(owner.user_id, self.random.choice(_AGENTS), self.random.choice(_RUNS), actor)

    def _relations(self, command_id: str, operation: Operation) -> list[RelationChange]:
        changes: list[RelationChange] = []
        if operation.op in ("UPDATE", "DELETE"):
            held = [change for change in self.asserted.values() if change.memory_id == operation.memory_id]
            over = self.random.choice([None, EPOCH - timedelta(days=3)])
            ended = [change for change in held if self.random.random() < 0.8]
            changes += [replace(change, op="RETRACT", valid_to=over) for change in ended]
        writes = operation.op in ("ADD", "UPDATE", "RESTORE")
        for ordinal in range(self.random.choice([0, 1, 2]) if writes else 0):
            name = f"{command_id}/{operation.memory_id}/{ordinal}"
            source, relationship, target = map(self.random.choice, (_PEOPLE, _RELATIONSHIPS, _PEOPLE))
            assertion = str(uuid5(NAMESPACE_OID, name)), operation.memory_id
            which = self.random.choice(["", "", "sister"])
            changes.append(
                RelationChange(
                    "ASSERT",
                    *assertion,
                    source,
                    relationship,
                    target,
                    "PERSON",
                    said_as=self.random.choice(["", "EMPLOYED_BY"]),
                    source_entity=f"{entity_key(source)}#{which}" if which else "",
                    source_which=which,
                    valid_from=self.random.choice([None, EPOCH]),
                )
            )
        return changes

    def cleared(self, owner: Owner) -> MemoriesDecided:
        whole_tenant = self.random.random() < 0.3
        scope = Scope() if whole_tenant else replace(self._scope(owner), actor_id=None)
        return MemoriesDecided("decided", clears=[Clear(scope, whole_tenant)])

    def take(self, owner: Owner, body: MemoriesDecided) -> None:
        """Make a counted event true."""
        for clear in body.clears:
            for memory_id, (held_by, operation) in list(self.live.items()):
                inside = held_by == owner and clear.scope.covers(operation.scope)
                if inside or (clear.whole_tenant and held_by.tenant == owner.tenant):
                    self._drop(memory_id)
        for operation in body.operations:
            if operation.op == "ADD" or (operation.op == "UPDATE" and operation.memory_id in self.live):
                self.live[operation.memory_id] = (owner, operation)
            elif operation.op == "RESTORE" and operation.memory_id in self.gone:
                self.live[operation.memory_id] = (owner, operation)
                del self.gone[operation.memory_id]
            elif operation.op == "DELETE":
                self._drop(operation.memory_id)
        for change in body.relations:
            if change.op == "RETRACT":
                self.asserted.pop(change.assertion_id, None)
            elif change.memory_id in self.live:
                self.asserted[change.assertion_id] = change

    def _drop(self, memory_id: str) -> None:
        if memory_id in self.live:
            self.gone[memory_id] = self.live.pop(memory_id)
            kept = {key: change for key, change in self.asserted.items() if change.memory_id != memory_id}
            self.asserted = kept


def history(random: Random, length: int, *, dimensions: int = DIMENSIONS, partition: int = 0) -> list[Event]:
    """`length` events of one partition, in offset order; about one in seven must not count (see `fenced`)."""
    world = World(random, dimensions)
    events: list[Event] = []
    counted: list[tuple[Owner, Event]] = []
    offset, command_offset, recorded_at = -1, -1, EPOCH
    for _ in range(length):
        offset += random.choice([1, 1, 1, 2, 7])
        recorded_at += timedelta(milliseconds=random.choice([0, 1, 1, 40]))
        again = random.random() < 0.14 and len(counted) > 0
        if again:
            owner, first = random.choice(counted)
            command_id, fence = first.envelope.command_id, first.envelope.command_offset
            # A retry writes the same event once more; a zombie worker decided the same command differently.
            body = first.body if random.random() < 0.5 else world.decided(owner, command_id)
        else:
            owner = random.choice(OWNERS)
            command_offset = fence = command_offset + random.choice([1, 1, 3])
            command_id = str(uuid5(NAMESPACE_OID, f"command/{partition}/{command_offset}"))
            body = world.cleared(owner) if random.random() < 0.08 else world.decided(owner, command_id)
            world.take(owner, body)
        event = Event(
            partition, offset, recorded_at, _envelope(owner, body, command_id, fence, recorded_at), body
        )
        if not again:
            counted.append((owner, event))
        events.append(event)
    return events


def _envelope(
    owner: Owner, body: MemoriesDecided, command_id: str, command_offset: int, occurred_at: datetime
) -> Envelope:
    whole_tenant = any(clear.whole_tenant for clear in body.clears)
    return Envelope(
        record_id=str(uuid5(NAMESPACE_OID, f"event of {command_id}")),
        type="memories_decided",
        tenant=owner.tenant,
        subject=_TENANT_SUBJECTS[owner.tenant] if whole_tenant else owner.subject,
        command_id=command_id,
        occurred_at=occurred_at,
        body_schema=bytes(8),
        key_id="00000000-0000-4000-8000-00000000000a",
        nonce=bytes(12),
        command_offset=command_offset,
        memory_ids=sorted({operation.memory_id for operation in body.operations}),
    )


def ids() -> st.SearchStrategy[str]:
    """Ids as a caller may choose them, hostile ones included."""
    return st.sampled_from(NASTY) | st.text(max_size=20)


def scopes() -> st.SearchStrategy[Scope]:
    maybe = st.none() | st.sampled_from(["alex", "kim", "a'b", "planner"])
    return st.builds(Scope, user_id=maybe, agent_id=maybe, run_id=maybe, actor_id=maybe)


def randoms() -> st.SearchStrategy[Random]:
    return st.randoms(note_method_calls=False, use_true_random=False)


def operations(dimensions: int = DIMENSIONS) -> st.SearchStrategy[Operation]:
    """One ADD of a new memory, whoever's."""

    return randoms().map(
        lambda random: World(random, dimensions).operation(OWNERS[0], str(uuid5(NAMESPACE_OID, "a")))
    )


def histories(
    dimensions: int = DIMENSIONS, partition: int = 0, max_events: int = 16
) -> st.SearchStrategy[list[Event]]:
    return st.builds(
        lambda random, length: history(random, length, dimensions=dimensions, partition=partition),
        randoms(),
        st.integers(0, max_events),
    )


def batches(events: list[Event], random: Random) -> list[list[Event]]:
    """The events cut into consecutive batches at random places; some are empty."""
    cuts = sorted(random.randint(0, len(events)) for _ in range(random.randint(0, 5)))
    return [events[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(events)], strict=True)]
