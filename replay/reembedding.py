"""A vector shard whose vectors are all of one embedder, whatever made those in the log.

An event keeps the vectors that it was written with. Where they are not of the generation's embedder (it was rebuilt for
another one; or `decide` had not gone over yet when it wrote) the texts are embedded again on the way into the shard. What was
embedded once is in the cache, so the same log gives the same digest without a model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from memfold.memory.framing import embedded
from memfold.projections.base import Position, Shard
from memfold.providers.presets import ModelSettings, close_models, embedder_from
from memfold.providers.vector_cache import VectorCache
from memfold.schemas.records import Event

AT_ONCE = 480
"""Texts between two commits of the cache: a model that fails on the way costs no more than these."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """The embedder of a generation, by the settings that make it, and the folder of what it was asked for again."""

    models: ModelSettings
    cache: Path

    @property
    def model(self) -> str:
        return embedder_from(self.models).model

    @property
    def dimensions(self) -> int:
        return embedder_from(self.models).dimensions

    def open_cache(self) -> VectorCache:
        embedder = embedder_from(self.models)
        return VectorCache(self.cache, embedder.model, embedder.dimensions)

    async def vectors(self, texts: Sequence[str]) -> list[bytes]:
        """float16, little-endian. Raises ModelUnavailable."""
        embedder = embedder_from(self.models)
        try:
            rows = await embedder.embed(texts)
        finally:
            await close_models(embedder)
        return [row.tobytes() for row in rows.astype("<f2")]


class ReembeddedShard:
    """A `Shard` around one of vectors. `apply` also raises ModelUnavailable, and then nothing was applied."""

    def __init__(self, shard: Shard, embedding: Embedding, generation: str) -> None:
        self._shard, self._embedding, self._generation = shard, embedding, generation
        self._model, self._width = embedding.model, 2 * embedding.dimensions

    def position(self) -> Position:
        return self._shard.position()

    def apply(self, events: Sequence[Event], position: Position) -> None:
        foreign = foreign_texts(events, self._model, self._width)
        if foreign:
            vectors = self._vectors(foreign)
            events = [_own(event, vectors, self._model, self._width) for event in events]
        self._shard.apply(events, position)

    def keep_up(self) -> None:
        self._shard.keep_up()

    def digest(self) -> str:
        return self._shard.digest()

    def close(self) -> None:
        self._shard.close()

    def _vectors(self, texts: Sequence[str]) -> dict[str, bytes]:
        """From a thread or process without an event loop: each call has one of its own, and connections belong to it."""
        with self._embedding.open_cache() as cache:
            known = cache.known(texts, self._generation)
            missing = [text for text in texts if text not in known]
            for start in range(0, len(missing), AT_ONCE):
                some = missing[start : start + AT_ONCE]
                new = dict(zip(some, asyncio.run(self._embedding.vectors(some)), strict=True))
                cache.keep(new, self._generation)
                known |= new
        return known


def foreign_texts(events: Sequence[Event], model: str, width: int) -> list[str]:
    """What has to be embedded again, each once: texts whose vectors are of another model, or of another length in bytes."""
    found: dict[str, None] = {}
    for event in events:
        for done in event.body.operations:
            if done.vector is not None and _foreign(event, done.vector, model, width):
                found[embedded(done.text)] = None
    return list(found)


def _foreign(event: Event, vector: bytes, model: str, width: int) -> bool:
    # An event that does not tell its embedder is believed as far as the length goes.
    return event.body.embedder not in ("", model) or len(vector) != width


def _own(event: Event, vectors: dict[str, bytes], model: str, width: int) -> Event:
    operations = [
        replace(done, vector=vectors[embedded(done.text)])
        if done.vector is not None and _foreign(event, done.vector, model, width)
        else done
        for done in event.body.operations
    ]
    return replace(event, body=replace(event.body, operations=operations))
