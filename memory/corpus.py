"""The current memories of one scope as a search needs them: in the order in which they were told, with their words counted.

Made from rows, and made again from rows when one of them changes; what was read of a row is kept for as long as its version is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memfold.memory.bm25 import BM25, Vocabulary
from memfold.memory.dates import Span, span_of
from memfold.memory.errors import InvalidInput
from memfold.memory.framing import framed
from memfold.memory.ports import MemoryRow, Vectors
from memfold.memory.wording import terms, words

PAUSE = timedelta(hours=4)
"""A longer one ends a conversation."""
WINDOW_B = 0.6
"""Long documents of unequal length: BM25 has to be fairer to the short ones than among single memories."""
ALONE = 0.25
"""What neighbours count in a monologue: facts that were told in one go need not be about one thing."""
LABELS = 0.5
"""From this share of texts on that begin with a repeated label, labels are speakers."""


class Told(Struct, frozen=True):
    """What was read of one row."""

    row: MemoryRow
    words: str
    label: str
    moment: datetime
    terms: list[str]

    @classmethod
    def by(cls, row: MemoryRow) -> Told:
        found = framed(row.text)
        return cls(row, found.words, found.label, found.day or row.created_at, terms(found.words))

    def conversation(self) -> tuple[str, str, str]:
        scope = self.row.scope
        return scope.user_id or "", scope.agent_id or "", scope.run_id or ""

    def order(self) -> tuple[object, ...]:
        row = self.row
        return *self.conversation(), self.moment, row.created_at, row.added_offset, row.ordinal, row.memory_id


class Corpus:
    """Memories and indices over them; every array has one place for each of `rows`."""

    def __init__(self, told: Iterable[Told]) -> None:
        self.told = sorted(told, key=Told.order)
        self.rows: list[MemoryRow] = [one.row for one in self.told]
        self.place = {row.memory_id: number for number, row in enumerate(self.rows)}
        self.conversations = _conversations(self.told)
        self.vectors = _matrix(self.rows)
        self.speakers, self.speaker_of = _speakers(self.told)
        self.vocabulary = Vocabulary()
        said = [self.vocabulary.numbered(one.terms) for one in self.told]
        whole = [
            np.concatenate([said[number], self.vocabulary.numbered(self._frame_terms(number))])
            for number in range(len(said))
        ]
        count = len(self.vocabulary)
        self.whole, self.said = BM25(whole, count), BM25(said, count)
        self.windows = BM25(_windows(said, self.conversations), count, b=WINDOW_B)
        self.talks = BM25(_joined(said, self.conversations), count, b=WINDOW_B)
        self.substance = np.array([_substance(one) for one in self.told], dtype=np.float32)
        self.exchange = _exchange(self.told, self.speaker_of, self.conversations)
        self.recency = _ranks([one.moment for one in self.told])
        self.entities = _Entities(self.rows)
        self._spans: list[list[Span]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def spans(self) -> list[list[Span]]:
        """The days on which each memory was told, and those that it tells of."""
        if self._spans is None:
            self._spans = [_spans(one) for one in self.told]
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
                "Configure that one, or `memfold replay rebuild` with the new one"
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


class _Entities:
    """The names of what the memories' relations join, and which memories are evidence of each."""

    def __init__(self, rows: Sequence[MemoryRow]) -> None:
        self.names: dict[tuple[str, ...], set[str]] = {}
        self.evidence: dict[str, set[int]] = {}
        self.beside: dict[str, set[str]] = {}
        for number, row in enumerate(rows):
            for relation in row.relations:
                ends = (
                    (relation.source_entity or relation.source.casefold(), relation.source),
                    (relation.target_entity or relation.target.casefold(), relation.target),
                )
                for entity, name in ends:
                    self.names.setdefault(tuple(words(name)), set()).add(entity)
                    self.evidence.setdefault(entity, set()).add(number)
                (one, _), (other, _) = ends
                self.beside.setdefault(one, set()).add(other)
                self.beside.setdefault(other, set()).add(one)


def _matrix(rows: Sequence[MemoryRow]) -> Vectors:
    """Shape (rows, dimensions), float32; zeros where a memory has no vector, no columns where none has."""
    width = max((len(row.vector) for row in rows), default=0)
    data = b"".join(row.vector if len(row.vector) == width else bytes(width) for row in rows)
    return np.frombuffer(data, "<f2").astype(np.float32).reshape(len(rows), width // 2)


def _conversations(told: Sequence[Told]) -> NDArray[np.int64]:
    """The number of the conversation that each belongs to."""
    breaks = [
        one.conversation() != other.conversation() or other.moment - one.moment > PAUSE
        for one, other in pairwise(told)
    ]
    return np.cumsum([False, *breaks][: len(told)], dtype=np.int64)


def _speakers(told: Sequence[Told]) -> tuple[list[str], list[int]]:
    """(names, the number of the name for each memory, -1 for none)."""
    labels = Counter(one.label for one in told if one.label)
    common = {label for label, count in labels.items() if count > 1}
    labelled = sum(labels[label] for label in common) >= LABELS * len(told)
    names: dict[str, int] = {}
    numbers = []
    for one in told:
        name = one.row.scope.actor_id or (one.label if labelled and one.label in common else None)
        numbers.append(names.setdefault(name, len(names)) if name else -1)
    return list(names), numbers


def _windows(said: Sequence[NDArray[np.int64]], conversations: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Each memory with the one before and the one behind it."""
    return [
        np.concatenate(
            [
                said[near]
                for near in range(max(0, number - 1), min(len(said), number + 2))
                if conversations[near] == conversations[number]
            ]
        )
        for number in range(len(said))
    ]


def _joined(said: Sequence[NDArray[np.int64]], conversations: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Each conversation as one document."""
    talks: list[list[NDArray[np.int64]]] = [[] for _ in range(int(conversations[-1]) + 1 if len(said) else 0)]
    for number, document in zip(conversations, said, strict=True):
        talks[number].append(document)
    return [np.concatenate(documents) for documents in talks]


def _substance(told: Told) -> float:
    length = min(1.0, float(np.log1p(len(told.terms))) / 4)
    return length * (0.7 if told.words.rstrip().endswith("?") else 1.0)


def _exchange(
    told: Sequence[Told], speakers: Sequence[int], conversations: NDArray[np.int64]
) -> NDArray[np.float32]:
    """How much what was told beside a memory says about it: all in an exchange between two, less in facts told in one go."""
    voices: list[set[object]] = [set() for _ in range(int(conversations[-1]) + 1 if told else 0)]
    for one, speaker, number in zip(told, speakers, conversations, strict=True):
        voices[number].add(speaker if speaker >= 0 else one.row.role)
    return np.array([1.0 if len(voices[number]) > 1 else ALONE for number in conversations], dtype=np.float32)


def _ranks(moments: Sequence[datetime]) -> NDArray[np.float32]:
    """Above 0 for the oldest, 1 for the newest."""
    ranks = np.empty(len(moments), dtype=np.float32)
    order = np.argsort(np.array([moment.timestamp() for moment in moments]), kind="stable")
    ranks[order] = np.arange(1, len(moments) + 1)
    return ranks / np.float32(max(len(moments), 1))


def _spans(told: Told) -> list[Span]:
    day = told.moment.date()
    happened = span_of(told.row.when) if told.row.when else None
    return [Span(day, day), *([happened] if happened else [])]


def corpus_of(rows: Iterable[MemoryRow], known: Mapping[str, Told]) -> Corpus:
    """A corpus of rows; `known`: what was read before, by memory id, taken where the row is still the same."""
    return Corpus(
        old if (old := known.get(row.memory_id)) and old.row is row else Told.by(row) for row in rows
    )
