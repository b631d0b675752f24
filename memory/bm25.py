"""BM25 over documents that are in memory, as an inverted index in numpy arrays (Robertson & Zaragoza, 2009).

An own one because an index is made when a scope is first searched: a thousand memories take 2 ms here and 55 in bm25s, for the same
ranking; Lance's full-text search finds less (docs/adr/0014).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
K1 = 0.9
"""How soon repeating a word stops counting; with B measured on conversations, where texts are short and repeat little."""
B = 0.4


class Vocabulary(dict[str, int]):
    """Numbers for terms, given as they come."""

    def numbered(self, terms: Sequence[str]) -> NDArray[np.int64]:
        return np.array([self.setdefault(term, len(self)) for term in terms], dtype=np.int64)


class BM25:
    """Of documents given as arrays of term numbers below `terms`."""

    def __init__(
        self, documents: Sequence[NDArray[np.int64]], terms: int, k1: float = K1, b: float = B
    ) -> None:
        self._count = count = len(documents)
        lengths = np.array([len(document) for document in documents], dtype=np.int64)
        flat = np.concatenate([*documents, np.zeros(0, np.int64)])
        keys, repeats = np.unique(flat * count + np.repeat(np.arange(count), lengths), return_counts=True)
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
