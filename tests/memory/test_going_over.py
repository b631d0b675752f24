"""From one model's vectors to another's: nothing of the one is ever compared with anything of the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from memfold.memory.deciding import decide
from memfold.memory.following import pinned
from memfold.memory.ports import Embedder, MemoryRow, Vectors
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.schemas.records import AddRequested, Item, MemoriesDecided, Message, Scope, UpdateRequested
from tests.memory.models import HashEmbedder, ScriptedDecider, SentenceExtractor

NOW = datetime(2026, 3, 3, tzinfo=UTC)


class WideEmbedder:
    """Vectors of 16 dimensions; remembers what it was asked."""

    model, dimensions = "wide-16", 16

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.tile(np.eye(1, 16, dtype=np.float32), (len(texts), 1))


async def tell(text: str, number: int, state: SubjectState, embedder: Embedder) -> MemoriesDecided:
    models = Models(embedder, SentenceExtractor(), ScriptedDecider())
    command = AddRequested(Scope("alex"), [Item([Message("user", text)])])
    return await decide(command, f"00000000-0000-4000-8000-{number:012d}", NOW, state, models)


def row_of(memory_id: str, text: str, version: int, vector: bytes) -> MemoryRow:
    return MemoryRow("t", "s", memory_id, version, text, Scope("alex"), NOW, NOW, NOW, vector=vector)


async def test_what_the_projection_has_not_applied_is_embedded_when_it_is_needed() -> None:
    state = SubjectState()
    (one,) = (await tell("I like tea", 1, state, HashEmbedder())).operations
    (two,) = (await tell("I like coffee", 2, state, HashEmbedder())).operations
    wide = WideEmbedder()
    given = np.eye(1, 16, dtype="<f2").tobytes()
    later = UpdateRequested(two.memory_id, "I like black coffee")
    models = Models(HashEmbedder(), SentenceExtractor(), ScriptedDecider())
    await decide(later, "00000000-0000-4000-8000-000000000009", NOW, state, models)
    state.go_over(wide.model, {(one.memory_id, 1): given, (two.memory_id, 1): given})
    assert [known.text for known in state.bare()] == ["I like black coffee"], (
        "a vector of another version is not its own"
    )
    body = await tell("I like milk", 3, state, wide)
    assert body.embedder == "wide-16"
    assert wide.asked == ["I like milk", "I like black coffee"]
    assert state.bare() == []
    assert {len(known.vector) for known in state.memories.values()} == {32}


async def test_who_never_had_a_vector_gets_none() -> None:
    state = SubjectState.of([row_of("a", "kept as it was said", 1, b"")], "hash-8")
    state.go_over("wide-16", {})
    assert state.bare() == []


async def test_a_memory_that_changed_meanwhile_keeps_its_own() -> None:
    state = SubjectState()
    await tell("I like tea", 1, state, HashEmbedder())
    state.go_over("wide-16", {})
    (bare,) = state.bare()
    own = np.full(16, 0.25, dtype="<f2").tobytes()
    state.embed([bare], [own])
    state.embed([bare], [bytes(32)])
    assert next(iter(state.memories.values())).vector == own
    assert state.bare() == []


@pytest.mark.parametrize("embedder", [HashEmbedder(), WideEmbedder()])
def test_an_embedder_that_follows_nothing_is_itself(embedder: Embedder) -> None:
    assert pinned(embedder) is embedder
