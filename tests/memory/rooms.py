"""A subject with its state, and models that a test can break: what tests of deciding speak to."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from memfold.memory.deciding import decide
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.schemas.records import AddRequested, Command, Item, MemoriesDecided, Message, Scope
from tests.memory.models import HashEmbedder, ScriptedDecider, SentenceExtractor

ALEX = Scope(user_id="alex")
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Room:
    """Each command is asked one second after the one before."""

    def __init__(self) -> None:
        self.embedder, self.extractor, self.decider = HashEmbedder(), SentenceExtractor(), ScriptedDecider()
        self.state = SubjectState()
        self.bodies: list[MemoriesDecided] = []
        self.now = NOW

    async def ask(self, command: Command) -> MemoriesDecided:
        models = Models(self.embedder, self.extractor, self.decider)
        self.now += timedelta(seconds=1)
        body = await decide(command, str(uuid.uuid4()), self.now, self.state, models)
        self.bodies.append(body)
        return body

    async def say(
        self,
        *texts: str,
        infer: bool = True,
        scope: Scope = ALEX,
        role: str = "user",
        name: str | None = None,
    ) -> MemoriesDecided:
        items = [Item([Message(role, text, name)]) for text in texts]
        return await self.ask(AddRequested(scope, items, infer))

    def texts(self) -> list[str]:
        return [known.text for known in self.state.memories.values()]

    def asked(self) -> int:
        """How often a chat model was asked."""
        return self.extractor.asked + self.decider.asked

    def folded(self) -> SubjectState:
        """The state that follows from the events alone."""
        state = SubjectState()
        for body in self.bodies:
            state.fold(body)
        return state
