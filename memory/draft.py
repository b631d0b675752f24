"""An event in the making: each step is drawn up and at once applied to the subject's state, so that the next one sees it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from memfold.memory.facts import FoundFact, FoundRelation
from memfold.memory.state import Known, SubjectState
from memfold.memory.texts import derived_id, same_key
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
        role: str | None = "user",
    ) -> str:
        """A new memory; its id."""
        memory_id = derived_id(self._namespace, "memory", len(self._operations))
        self._operate(
            Operation(
                "ADD",
                memory_id,
                1,
                text,
                scope,
                ordinal,
                None,
                role,
                item.metadata,
                item.said_at,
                vector,
            )
        )
        return memory_id

    def update(
        self,
        known: Known,
        text: str,
        vector: bytes | None,
        ordinal: int,
        metadata: str,
        said_at: datetime | None = None,
    ) -> None:
        """A new version; what the old one was evidence of ends."""
        self.retract(known.relations)
        version = known.version + 1
        self._operate(
            Operation(
                "UPDATE",
                known.memory_id,
                version,
                text,
                known.scope,
                ordinal,
                known.text,
                known.role,
                metadata,
                said_at,
                vector,
            )
        )

    def delete(self, known: Known, ordinal: int) -> None:
        """The memory goes out of view, and what it was evidence of ends."""
        self.retract(known.relations)
        self._operate(
            Operation(
                "DELETE", known.memory_id, known.version + 1, known.text, known.scope, ordinal, known.text
            )
        )

    def keep(self, known: Known, ordinal: int) -> None:
        """Nothing changes: the memory says it already."""
        self._operate(Operation("NONE", known.memory_id, known.version, known.text, known.scope, ordinal))

    def clear(self, clear: Clear) -> None:
        self._clears.append(clear)
        self.state.clear(clear)

    def relate(self, memory_id: str, fact: FoundFact) -> None:
        """Assert the relations of a fact with its memory as evidence, and retract those that it says have ended."""
        for found in fact.relations:
            if found.ends:
                self.retract(self._holding(found))
            else:
                change = RelationChange(
                    "ASSERT",
                    derived_id(self._namespace, "assertion", len(self._relations)),
                    memory_id,
                    found.source,
                    found.relationship,
                    found.target,
                    found.source_type,
                    found.target_type,
                    found.confidence,
                )
                self._change(change)

    def retract(self, assertions: Iterable[RelationChange]) -> None:
        for held in assertions:
            self._change(
                RelationChange(
                    "RETRACT",
                    held.assertion_id,
                    held.memory_id,
                    held.source,
                    held.relationship,
                    held.target,
                    held.source_type,
                    held.target_type,
                    held.confidence,
                )
            )

    def _holding(self, ended: FoundRelation) -> list[RelationChange]:
        wanted = (same_key(ended.source), ended.relationship, same_key(ended.target))
        return [
            held
            for known in self.state.memories.values()
            for held in known.relations
            if (same_key(held.source), held.relationship, same_key(held.target)) == wanted
        ]

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
        kept = [Fact(fact.text, fact.kind, fact.item, fact.message, fact.confidence) for fact in facts]
        return MemoriesDecided(
            outcome, reason, kept, self._operations, self._relations, self._clears, list(calls), embedder
        )
