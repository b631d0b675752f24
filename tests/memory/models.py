"""Models that answer what a test tells them to, so that everything but the model is under test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from memfold.memory.errors import ModelUnavailable
from memfold.memory.facts import Candidate, Decision, Decisions, Extraction, FoundFact, Utterances
from memfold.memory.ports import Vectors
from memfold.schemas.records import ModelCall

CALL = ModelCall("test", "emulated", "perfect")


class HashEmbedder:
    """Vectors that follow from the text alone; `down` makes it fail."""

    model, dimensions = "hash-8", 8

    def __init__(self) -> None:
        self.down = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.down:
            raise ModelUnavailable("the embedder is down", [CALL])
        rows = [
            np.random.default_rng(int(hashlib.sha256(t.encode()).hexdigest()[:8], 16)).normal(size=8)
            for t in texts
        ]
        matrix = np.asarray(rows, dtype=np.float32).reshape(len(texts), 8)
        unit: Vectors = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
        return unit


class SentenceExtractor:
    """Each user message is one fact, unless `facts` says otherwise; `down` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.facts: list[FoundFact] | None = None
        self.asked = 0

    async def extract(self, said: Utterances) -> Extraction:
        self.asked += 1
        if self.down:
            raise ModelUnavailable("the model is down", [CALL])
        found = [
            FoundFact(message.content, item=i, message=m)
            for i, item in enumerate(said.items)
            for m, message in enumerate(item.messages)
            if message.role == "user"
        ]
        return Extraction(found if self.facts is None else self.facts, [CALL])


class ScriptedDecider:
    """ADDs everything, unless `script` says otherwise; `down` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.script: Callable[[Sequence[Candidate]], list[Decision]] | None = None
        self.asked = 0

    async def decide(self, candidates: Sequence[Candidate]) -> Decisions:
        self.asked += 1
        if self.down:
            raise ModelUnavailable("the decider is down", [CALL])
        if self.script:
            return Decisions(self.script(candidates), [CALL])
        return Decisions(
            [Decision("ADD", number, c.fact.text) for number, c in enumerate(candidates)], [CALL]
        )
