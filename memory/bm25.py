"""BM25 over documents that are in memory, as an inverted index in numpy arrays (Robertson & Zaragoza, 2009).

An own one because an index is made when a scope is first searched: a thousand memories take 5 ms here and 55 in bm25s, for the same
ranking; Lance's full-text search finds less (docs/adr/0014).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
K1 = 0.9
"""How soon repeating a word stops counting; with B measured on conversations, where texts are short and repeat little."""
B = 0.4


class Vocabulary(dict[str, int]):
    """Numbers for terms, given as they come."""


class Occurrences(NamedTuple):
    """Which term stands in which document, once for each time that it does; of `size` documents."""

    terms: NDArray[np.int64]
    documents: NDArray[np.int64]
    size: int

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], vocabulary: Vocabulary) -> Occurrences:
        """Of texts as lists of terms; terms that are new to the vocabulary are added to it."""
        number = vocabulary.setdefault
        terms = np.array([number(term, len(vocabulary)) for text in texts for term in text], dtype=np.int64)
        return cls(terms, np.repeat(np.arange(len(texts)), [len(text) for text in texts]), len(texts))

    def also(self, other: Occurrences) -> Occurrences:
        """The same documents with what stands in those of another."""
        return self._joined(other.terms, other.documents)

    def with_neighbours(self, groups: NDArray[np.int64]) -> Occurrences:
        """Each document with the one before and the one behind it, where those are of its group."""
        follows = groups[1:] == groups[:-1]
        first, last = np.append(follows, False)[self.documents], np.append(False, follows)[self.documents]
        forward = self._joined(self.terms[first], self.documents[first] + 1)
        return forward._joined(self.terms[last], self.documents[last] - 1)

    def grouped(self, groups: NDArray[np.int64]) -> Occurrences:
        """Each group as one document."""
        return Occurrences(self.terms, groups[self.documents], int(groups[-1]) + 1 if self.size else 0)

    def _joined(self, terms: NDArray[np.int64], documents: NDArray[np.int64]) -> Occurrences:
        return Occurrences(
            np.concatenate([self.terms, terms]), np.concatenate([self.documents, documents]), self.size
        )


class BM25:
    """Of documents whose terms have numbers below `terms`."""

    def __init__(self, found: Occurrences, terms: int, k1: float = K1, b: float = B) -> None:
        self._count = count = found.size
        lengths = np.bincount(found.documents, minlength=count)
        keys, repeats = np.unique(found.terms * count + found.documents, return_counts=True)
        term, self._documents = np.divmod(keys, max(count, 1))
        self._starts = np.searchsorted(term, np.arange(terms + 1))
        holding = np.diff(self._starts)
        self._idf: NDArray[np.float64] = np.log1p((count - holding + 0.5) / (holding + 0.5))
        self._unknown = float(np.log1p((count + 0.5) / 0.5))
        norm = k1 * (1 - b + b * lengths / max(lengths.mean(), 1e-9)) if count else lengths
        impact = self._idf[term] * repeats * (k1 + 1) / (repeats + norm[self._documents])
        self._impact = impact.astype(np.float32)

    def scores(self, terms: Sequence[int], unknown: int = 0) -> Scores:
        """One for each document: 1 where every term of the question stands once in a text of middle length, 0 where none does.

        `unknown`: how many terms the question has that stand in no document; they count for what a match would have given.
        """
        found = np.zeros(self._count, dtype=np.float32)
        ideal = unknown * self._unknown
        for term in terms:
            ideal += float(self._idf[term])
            inside = slice(self._starts[term], self._starts[term + 1])
            found[self._documents[inside]] += self._impact[inside]
        return found / np.float32(ideal) if ideal else found
