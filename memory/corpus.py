"""The current memories of one scope as a search needs them: in the order in which they were told, with their words counted.

Made from rows, and made again from rows when one of them changes; what was read of a row is kept for as long as its version is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from memfold.memory.bm25 import BM25, Occurrences, Vocabulary
from memfold.memory.dates import Span
from memfold.memory.errors import InvalidInput
from memfold.memory.evidence import Evidence
from memfold.memory.ports import MemoryRow, Vectors
from memfold.memory.told import (
    Told,
    conversations_of,
    exchange_of,
    recency_of,
    speakers_of,
    substance_of,
)
from memfold.memory.wording import terms

LONG_B = 0.6
"""Long documents of unequal length: BM25 has to be fairer to the short ones than among single memories."""


class Corpus:
    """Memories and indices over them; every array has one place for each of `rows`."""

    def __init__(self, told: Iterable[Told]) -> None:
        self.told = sorted(told, key=Told.order)
        self.rows: list[MemoryRow] = [one.row for one in self.told]
        self.conversations = conversations_of(self.told)
        self.vectors = _matrix(self.rows)
        self.speakers, self.speaker_of = speakers_of(self.told)
        self.vocabulary = Vocabulary()
        said = Occurrences.of([one.terms for one in self.told], self.vocabulary)
        frames = [self._frame_terms(number) for number in range(len(self.told))]
        whole = said.also(Occurrences.of(frames, self.vocabulary))
        count = len(self.vocabulary)
        self.whole, self.said = BM25(whole, count), BM25(said, count)
        self.windows = BM25(said.with_neighbours(self.conversations), count, b=LONG_B)
        self.talks = BM25(said.grouped(self.conversations), count, b=LONG_B)
        self.substance, self.recency = substance_of(self.told), recency_of(self.told)
        self.exchange = exchange_of(self.told, self.speaker_of, self.conversations)
        self.entities = Evidence(self.rows)
        self._spans: list[list[Span]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def spans(self) -> list[list[Span]]:
        """The days on which each memory was told, and those that it tells of."""
        if self._spans is None:
            self._spans = [one.spans() for one in self.told]
        return self._spans

    def before(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """For each memory the value of the one before it in the same conversation, 0 for the first."""
        shifted = np.zeros_like(values)
        if len(values) > 1:
            same = self.conversations[1:] == self.conversations[:-1]
            shifted[1:] = np.where(same, values[:-1], 0)
        return shifted

    def meaning(self, vector: Vectors) -> NDArray[np.float32]:
        """Cosines; 0 for a memory without a vector. Raises InvalidInput for a vector of another model."""
        width = self.vectors.shape[1]
        if width and len(vector) != width:
            raise InvalidInput(
                f"the question has {len(vector)} dimensions, the memories {width}: they were embedded by another model. "
                "Go over with `memfold replay rebuild vector --embedder NAME`, or configure the one that made them"
            )
        if not width:
            return np.zeros(len(self), dtype=np.float32)
        return self.vectors @ vector

    def _frame_terms(self, number: int) -> list[str]:
        """Who said it and when, as words: a question may name them."""
        speaker = self.speaker_of[number]
        name = self.speakers[speaker] if speaker >= 0 else self.told[number].label
        return [*_words_of(name), *_words_of_day(self.told[number].moment.date())]


_words_of = lru_cache(maxsize=10_000)(terms)


@lru_cache(maxsize=10_000)
def _words_of_day(day: date) -> list[str]:
    return terms(f"{day:%d %B %Y}")


def _matrix(rows: Sequence[MemoryRow]) -> Vectors:
    """Shape (rows, dimensions), float32; zeros where a memory has no vector, no columns where none has."""
    width = max((len(row.vector) for row in rows), default=0)
    data = b"".join(row.vector if len(row.vector) == width else bytes(width) for row in rows)
    return np.frombuffer(data, "<f2").astype(np.float32).reshape(len(rows), width // 2)


def corpus_of(rows: Iterable[MemoryRow], known: Mapping[str, Told]) -> Corpus:
    """A corpus of rows; `known`: what was read before, by memory id, taken where the row is still the same."""
    return Corpus(
        old if (old := known.get(row.memory_id)) and old.row is row else Told.by(row) for row in rows
    )
