"""BM25 against its formula, written out."""

from __future__ import annotations

from collections import Counter
from math import log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.bm25 import BM25, K1, B
from memfold.memory.wording import terms

documents = st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=12)


def by_formula(asked: list[int], unknown: int, document: list[int], all_of_them: list[list[int]]) -> float:
    count = len(all_of_them)
    average = max(sum(map(len, all_of_them)) / count, 1e-9)

    def idf(term: int) -> float:
        holding = sum(term in one for one in all_of_them)
        return log1p((count - holding + 0.5) / (holding + 0.5))

    repeats = Counter(document)
    norm = K1 * (1 - B + B * len(document) / average)
    found = sum(
        idf(term) * repeats[term] * (K1 + 1) / (repeats[term] + norm) for term in asked if term in repeats
    )
    ideal = sum(map(idf, asked)) + unknown * log1p((count + 0.5) / 0.5)
    return found / ideal if ideal else 0.0


@given(documents, st.lists(st.integers(0, 5), unique=True, max_size=4), st.integers(0, 2))
def test_it_is_its_formula(told: list[list[int]], asked: list[int], unknown: int) -> None:
    scores = BM25([np.array(one, dtype=np.int64) for one in told], 6).scores(asked, unknown)
    assert scores.tolist() == pytest.approx([by_formula(asked, unknown, one, told) for one in told], abs=1e-5)


def test_no_documents_have_no_scores() -> None:
    assert BM25([], 0).scores([], 3).shape == (0,)


def test_words_are_stems_without_stop_words() -> None:
    assert terms("She's been running to Maria’s bakeries!") == terms("runs Maria bakery")
    assert terms("Did you ever?") == terms("ever")
    assert terms("Ｃａｆé 北京") == ["café", "北京"]
