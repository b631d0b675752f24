"""A dialogue played through `decide`, step by step, with any models; what became of each step."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from memfold.memory.deciding import decide
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.schemas.records import AddRequested, MemoriesDecided, RelationChange, Scope
from tests.understanding.dialogues import Dialogue, Step, Triple, triple

ALEX = Scope(user_id="alex")
ASKED_AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Played:
    """A step, the event that came of it, and the memories before and after it, by id."""

    step: Step
    body: MemoriesDecided
    before: dict[str, str]
    after: dict[str, str]
    holds: set[Triple]
    """The relations that hold after it."""

    def asserted(self) -> set[Triple]:
        return {named(change) for change in self.body.relations if change.op == "ASSERT"}

    def ended(self) -> set[Triple]:
        """What was retracted and not said again in the same event."""
        return {named(change) for change in self.body.relations if change.op == "RETRACT"} - self.asserted()


def named(change: RelationChange) -> Triple:
    return triple(change.source, change.relationship, change.target)


async def play(dialogue: Dialogue, models: Models, state: SubjectState) -> AsyncIterator[Played]:
    """One command a step."""
    for number, step in enumerate(dialogue.steps):
        before = texts(state)
        command_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{dialogue.id}/{number}"))
        body = await decide(AddRequested(ALEX, [step.item]), command_id, ASKED_AT, state, models)
        holds = {named(relation) for known in state.memories.values() for relation in known.relations}
        yield Played(step, body, before, texts(state), holds)


def texts(state: SubjectState) -> dict[str, str]:
    return {memory_id: known.text for memory_id, known in state.memories.items()}
