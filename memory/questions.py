"""A question as it is asked of a corpus: whom and what it names, its words, its times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from memfold.memory.corpus import Corpus
from memfold.memory.dates import Times, times_in
from memfold.memory.wording import terms, words

HOP = 0.5
"""What evidence counts for that is one relation farther away."""


@dataclass(frozen=True, slots=True)
class Question:
    """`bare`: without the names of speakers, which all that they said is equally near to."""

    text: str
    bare: str
    speakers: frozenset[int]
    terms: tuple[tuple[int, ...], int]
    bare_terms: tuple[tuple[int, ...], int]
    times: Times

    @classmethod
    def read(cls, text: str, corpus: Corpus, asked: date) -> Question:
        named = _named(text, corpus)
        bare = _without(text, {word for number in named for word in words(corpus.speakers[number])})
        return cls(
            text,
            bare,
            frozenset(named),
            _numbered(terms(text), corpus),
            _numbered(terms(bare), corpus),
            times_in(text, asked),
        )

    def speaker(self, corpus: Corpus) -> NDArray[np.float32]:
        """1 for what the one speaker said whom the question names; who names two asks about both."""
        if len(self.speakers) != 1 or len(corpus.speakers) < 2:
            return np.zeros(len(corpus), dtype=np.float32)
        (wanted,) = self.speakers
        return np.array([speaker == wanted for speaker in corpus.speaker_of], dtype=np.float32)

    def time(self, corpus: Corpus) -> NDArray[np.float32]:
        """1 for what was told, or happened, when the question says."""
        if not self.times:
            return np.zeros(len(corpus), dtype=np.float32)
        held = (any(self.times.hold(span) for span in spans) for spans in corpus.spans())
        return np.fromiter(held, dtype=np.float32, count=len(corpus))

    def graph(self, corpus: Corpus) -> NDArray[np.float32]:
        """How closely a memory is tied to what the question names; less for a thing that most memories are tied to."""
        found = np.zeros(len(corpus), dtype=np.float32)
        entities = _entities(words(self.text), corpus)
        for entity in entities:
            self._tie(entity, 1.0, corpus, found)
            for other in corpus.entities.beside.get(entity, ()):
                if other not in entities:
                    self._tie(other, HOP * _rarity(entity, corpus), corpus, found)
        return found

    @staticmethod
    def _tie(entity: str, weight: float, corpus: Corpus, found: NDArray[np.float32]) -> None:
        places = np.fromiter(corpus.entities.places[entity], dtype=np.int64)
        found[places] = np.maximum(found[places], weight * _rarity(entity, corpus))


def _rarity(entity: str, corpus: Corpus) -> float:
    """1 for what one memory is evidence of, 0 for what all are: the user whose memories these are says nothing."""
    if len(corpus) < 2:
        return 1.0
    return float(1 - np.log(len(corpus.entities.places[entity])) / np.log(len(corpus)))


def _named(text: str, corpus: Corpus) -> list[int]:
    """The speakers whose name, or its first word, is in the text."""
    asked = set(words(text))
    return [number for number, name in enumerate(corpus.speakers) if asked & set(words(name)[:1])]


def _without(text: str, names: set[str]) -> str:
    kept = [part for part in text.split() if not names & set(words(part))] if names else []
    return " ".join(kept) or text


def _numbered(asked: Iterable[str], corpus: Corpus) -> tuple[tuple[int, ...], int]:
    """(numbers of the terms that the corpus has, how many it has not), each term once."""
    numbers = [corpus.vocabulary.get(term) for term in dict.fromkeys(asked)]
    return tuple(number for number in numbers if number is not None), numbers.count(None)


def _entities(asked: list[str], corpus: Corpus) -> set[str]:
    """The entities whose name, one to four words, stands in the text."""
    names = corpus.entities.names
    runs = (
        tuple(asked[start : start + length])
        for length in range(1, 5)
        for start in range(len(asked) - length + 1)
    )
    return {entity for run in runs if run in names for entity in names[run]}
