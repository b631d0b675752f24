"""A shard of another embedder's vectors: whatever the log brings, all are of one model, and the cache gives them again."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from msgspec.structs import replace

from memfold.memory.errors import ModelUnavailable
from memfold.memory.framing import embedded
from memfold.projections.base import Position, fenced
from memfold.projections.vector import VectorShard
from memfold.projections.vector_rows import vectors_of
from memfold.projections.vector_table import VectorTable
from memfold.providers.presets import ModelSettings
from memfold.providers.wordllama_embedder import WordLlamaEmbedder
from memfold.replay.reembedding import Embedding, ReembeddedShard, foreign_texts
from memfold.schemas.records import Event
from tests.emulator.openai_server import OpenAIServer
from tests.projections.shard_contract import ShardContract, feed
from tests.strategies import histories, history


def wordllama(folder: Path) -> Embedding:
    return Embedding(ModelSettings(), folder / "embeddings")


def opened(path: Path, embedding: Embedding) -> ReembeddedShard:
    return ReembeddedShard(VectorShard(path, 0, embedding.dimensions), embedding, path.parent.name)


def events_of(seed: int, embedder: str = "old/model") -> list[Event]:
    """Vectors of 8 dimensions by another model."""
    events = fenced(history(Random(seed), 40), Position())[0]
    return [replace(event, body=replace(event.body, embedder=embedder)) for event in events]


class TestReembeddedShard(ShardContract):
    @staticmethod
    def open_shard(path: Path) -> ReembeddedShard:
        return opened(path, wordllama(path.parent))


async def test_every_vector_is_the_new_models(tmp_path: Path) -> None:
    events = events_of(5)
    with closing(opened(tmp_path / "g0002" / "p0000", wordllama(tmp_path))) as shard:
        await asyncio.to_thread(feed, shard, events)
    table = VectorTable(tmp_path / "g0002" / "p0000", 256)
    rows = table.columns(["text", "vector"])
    texts = rows["text"].to_pylist()
    wanted = (await WordLlamaEmbedder().embed([embedded(text) for text in texts])).astype("<f2")
    found = [vector for chunk in rows["vector"].chunks for vector in vectors_of(chunk)]
    with_vectors = [n for n, vector in enumerate(found) if vector is not None]
    assert len(with_vectors) > 10
    for n in with_vectors:
        assert np.allclose(np.frombuffer(found[n] or b"", "<f2"), wanted[n], atol=1e-3)


async def test_the_same_again_asks_no_model(tmp_path: Path) -> None:
    events = events_of(6)
    async with OpenAIServer() as server:
        settings = ModelSettings(
            embedder_provider="openai",
            embedder_base_url=server.base_url,
            embedder_model="emulated",
            embedder_dimensions=256,
        )
        embedding = Embedding(settings, tmp_path / "embeddings")

        def built(name: str, batch: int) -> str:
            with closing(opened(tmp_path / name / "p0000", embedding)) as shard:
                for start in range(0, len(events), batch):
                    feed(shard, events[start : start + batch])
                return shard.digest()

        first = await asyncio.to_thread(built, "g0002", 7)
        asked = server.requests["/v1/embeddings"]
        assert asked > 0
        assert await asyncio.to_thread(built, "g0003", 40) == first
        assert server.requests["/v1/embeddings"] == asked, "what was embedded once is kept"
    # And with nobody at the endpoint: only what was never embedded misses it.
    assert await asyncio.to_thread(built, "g0004", 3) == first
    with embedding.open_cache() as cache:
        cache.forget_others("g0005")
    with pytest.raises(ModelUnavailable):
        await asyncio.to_thread(built, "g0006", 40)


def test_a_model_that_is_away_leaves_the_shard_where_it_was(tmp_path: Path) -> None:
    nowhere = ModelSettings(
        embedder_provider="openai",
        embedder_base_url="http://127.0.0.1:9/v1",
        embedder_model="emulated",
        embedder_dimensions=256,
        call_seconds=1,
    )
    with closing(opened(tmp_path / "g0002" / "p0000", Embedding(nowhere, tmp_path / "e"))) as shard:
        with pytest.raises(ModelUnavailable):
            feed(shard, events_of(7))
        assert shard.position() == Position()


@given(histories())
def test_only_what_another_model_made_is_embedded_again(events: list[Event]) -> None:
    own = [replace(event, body=replace(event.body, embedder="new/model")) for event in events]
    vectors = [done.vector for event in events for done in event.body.operations if done.vector is not None]
    width = len(vectors[0]) if vectors else 0
    assert foreign_texts(own, "new/model", width) == []
    told = {
        embedded(done.text) for event in events for done in event.body.operations if done.vector is not None
    }
    assert set(foreign_texts(own, "new/model", width + 2)) == told
    other = [replace(event, body=replace(event.body, embedder="old/model")) for event in events]
    assert set(foreign_texts(other, "new/model", width)) == told
