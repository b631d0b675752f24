"""What another embedder would cost before it is asked: how many texts, how many tokens, how long at the rate measured now."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from memfold.replay.build import Origin
from memfold.replay.reembedding import foreign_texts
from memfold.schemas.keystore import KeyStore
from memfold.streams.projecting import open_batch

SAMPLE = 96
"""Texts of the measurement, and of one request to a service."""
CHARACTERS_A_TOKEN = 4
"""About, in English."""
_NEUTRAL = "The harbour was quiet before sunrise, and number {} of the boats had already left for the outer islands. "


@dataclass(frozen=True, slots=True)
class Estimate:
    """`texts` are to be embedded, `cached` were embedded before; those that the log has from this model are in neither."""

    model: str
    dimensions: int
    texts: int
    cached: int
    characters: int
    texts_a_second: float

    @property
    def tokens(self) -> int:
        return self.characters // CHARACTERS_A_TOKEN

    @property
    def seconds(self) -> float:
        return self.texts / self.texts_a_second if self.texts else 0.0


def estimate(origin: Origin, partitions: int) -> Estimate:
    """Reads the whole log once, and asks the model once about sentences of nobody. Raises ModelUnavailable, LogTruncated, ShardDamaged."""
    embedding, source = origin.embedding, origin.source()
    model, dimensions = embedding.model, embedding.dimensions
    missing, known = dict[int, int](), set[int]()
    keys = KeyStore(origin.keys, origin.kek)
    try:
        with embedding.open_cache() as cache:
            for partition in range(partitions):
                for records in source.read(partition, 0, source.end(partition)):
                    events = open_batch(records, keys).events
                    texts = foreign_texts(events, model, 2 * dimensions)
                    cached = cache.known(texts)
                    known.update(map(hash, cached))
                    missing |= {hash(text): len(text) for text in texts if text not in cached}
    finally:
        keys.close()
    length = sum(missing.values()) // max(1, len(missing))
    rate = asyncio.run(_rate(origin, length)) if missing else 0.0
    return Estimate(model, dimensions, len(missing), len(known), sum(missing.values()), rate)


async def _rate(origin: Origin, length: int) -> float:
    """Texts of this length that the model embeds in a second, once it is loaded."""
    await origin.embedding.vectors([_NEUTRAL])
    sample = [
        (_NEUTRAL.format(number) * (1 + length // len(_NEUTRAL)))[: max(1, length)]
        for number in range(SAMPLE)
    ]
    began = time.perf_counter()
    await origin.embedding.vectors(sample)
    return SAMPLE / (time.perf_counter() - began)
