"""An event in the making: each step is drawn up and at once applied to the subject's state, so that the next one sees it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from memfold.memory.facts import FoundFact
from memfold.memory.relating import ends_of, replaced_by, same_triple
from memfold.memory.state import Known, SubjectState
from memfold.memory.texts import derived_id
from memfold.schemas.records import (
    Clear,
    Fact,
    Item,
    MemoriesDecided,
    ModelCall,
    Operation,
    RelationChange,
    Scope,
)


class Draft:
    """Collects what one command changes. Ids follow from the command id, so deciding twice gives the same ones."""

    def __init__(self, command_id: str, state: SubjectState) -> None:
        self.state = state
        self._namespace = uuid.UUID(command_id)
        self._operations: list[Operation] = []
        self._relations: list[RelationChange] = []
        self._clears: list[Clear] = []

    def add(
        self,
        text: str,
        vector: bytes | None,
        scope: Scope,
        item: Item,
        ordinal: int,
        role: str = "user",
        **told: Any,
    ) -> str:
        """A new memory; its id. `told`: more fields of the operation, as in `update`."""
        memory_id = derived_id(self._namespace, "memory", len(self._operations))
        added = Operation(
            op="ADD",
            memory_id=memory_id,
            version=1,
            text=text,
            scope=scope,
            item=ordinal,
            role=role,
            metadata=item.metadata,
            said_at=item.said_at,
            vector=vector,
        )
        self._operate(replace(added, **told))
        return memory_id

    def update(
        self,
        known: Known,
        text: str,
        vector: bytes | None,
        ordinal: int,
        metadata: str,
        said_at: datetime | None = None,
        **told: Any,
    ) -> None:
        """A new version. What the old one was evidence of is left to `relate` or `retract`."""
        updated = Operation(
            op="UPDATE",
            memory_id=known.memory_id,
            version=known.version + 1,
            text=text,
            scope=known.scope,
            item=ordinal,
            previous_text=known.text,
            role=known.role,
            metadata=metadata,
            said_at=said_at,
            vector=vector,
        )
        self._operate(replace(updated, **told))

    def delete(self, known: Known, ordinal: int, over: datetime | None = None) -> None:
        """The memory goes out of view, and what it was evidence of ends."""
        self.retract(known.relations, over)
        self._operate(
            Operation(
                "DELETE", known.memory_id, known.version + 1, known.text, known.scope, ordinal, known.text
            )
        )

    def keep(self, known: Known, ordinal: int) -> None:
        """Nothing changes: the memory says it already."""
        self._operate(Operation("NONE", known.memory_id, known.version, known.text, known.scope, ordinal))

    def take(self, operation: Operation) -> None:
        """An operation that was decided elsewhere, as it is."""
        self._operate(operation)

    def hold(self, relation: RelationChange, memory_id: str) -> None:
        """A relation that is known to hold, with its memory as evidence."""
        self._assert(relation, memory_id)

    def clear(self, clear: Clear) -> None:
        self._clears.append(clear)
        self.state.clear(clear)

    def relate(
        self,
        memory_id: str,
        fact: FoundFact,
        said_at: datetime | None,
        shown: Collection[str] = (),
        whole: bool = True,
    ) -> None:
        """Assert the relations of a fact with its memory as evidence, and end those that it says are over.

        They end where this memory or one that was `shown` is their evidence, and nowhere else, whatever a model says. What the
        memory was evidence of before ends too, unless the fact says it again; with `whole` False (the new text keeps a part of
        the old one) only what the fact speaks of.
        """
        known = self.state.memories[memory_id]
        found = [ends_of(relation, self.state.entities) for relation in fact.relations]
        self.retract(replaced_by(found, known.relations, whole), said_at)
        for relation in found:
            if relation.op == "RETRACT":
                self.retract(self._holding(relation, {memory_id, *shown}), relation.valid_to or said_at)
            elif not any(same_triple(relation, held) for held in self.state.memories[memory_id].relations):
                self._assert(relation, memory_id)

    def move(self, held: RelationChange, entities: Mapping[str, str]) -> None:
        """The same relation between other entities: `entities` are new ids, by `source_entity` and `target_entity`."""
        self.retract([held])
        self._assert(replace(held, **entities), held.memory_id)

    def retract(self, assertions: Iterable[RelationChange], over: datetime | None = None) -> None:
        """They hold no longer; `over` is when they stopped being true, if that is known."""
        for held in list(assertions):
            self._change(replace(held, op="RETRACT", valid_to=over))

    def mark_heard(self, ordinal: int, said: str) -> None:
        """What the item has come to carries its words, so that the same words again are a repeat without any model."""
        mine = {
            number: done
            for number, done in enumerate(self._operations)
            if done.item == ordinal and self._stands(done)
        }
        written = {number: done for number, done in mine.items() if done.op != "NONE"}
        for number, done in written.items():
            self._operations[number] = replace(done, said=said, said_count=len(written))
            self.state.operate(self._operations[number])
        self.state.hear(said, [done.memory_id for done in mine.values()])

    def _stands(self, done: Operation) -> bool:
        """Whether no later operation has changed what this one left."""
        known = self.state.memories.get(done.memory_id)
        return known is not None and known.version == done.version

    def _holding(self, ended: RelationChange, evidence: Collection[str]) -> list[RelationChange]:
        memories = (self.state.memories.get(memory_id) for memory_id in evidence)
        held = [relation for known in memories if known for relation in known.relations]
        return sorted((one for one in held if same_triple(ended, one)), key=lambda one: one.assertion_id)

    def _assert(self, relation: RelationChange, memory_id: str) -> None:
        assertion_id = derived_id(self._namespace, "assertion", len(self._relations))
        self._change(replace(relation, op="ASSERT", assertion_id=assertion_id, memory_id=memory_id))

    def _operate(self, operation: Operation) -> None:
        self._operations.append(operation)
        self.state.operate(operation)

    def _change(self, change: RelationChange) -> None:
        self._relations.append(change)
        self.state.relate(change)

    def body(
        self,
        outcome: str,
        embedder: str,
        facts: Iterable[FoundFact] = (),
        calls: Iterable[ModelCall] = (),
        reason: str = "",
    ) -> MemoriesDecided:
        kept = [
            Fact(fact.text, fact.kind, fact.item, fact.message, fact.confidence, fact.speaker, fact.when)
            for fact in facts
        ]
        return MemoriesDecided(
            outcome, reason, kept, self._operations, self._relations, self._clears, list(calls), embedder
        )
