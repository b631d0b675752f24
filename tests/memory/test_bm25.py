"""BM25 against its formula, written out."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from math import log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.bm25 import BM25, K1, B, Occurrences, Vocabulary
from memfold.memory.wording import terms

documents = st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=12)


def occurrences(told: list[list[int]]) -> Occurrences:
    vocabulary = Vocabulary({str(term): term for term in range(6)})
    return Occurrences.of([[str(term) for term in one] for one in told], vocabulary)


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
    scores = BM25(occurrences(told), 6).scores(asked, unknown)
    assert scores.tolist() == pytest.approx([by_formula(asked, unknown, one, told) for one in told], abs=1e-5)


def contents(found: Occurrences) -> list[list[int]]:
    return [sorted(found.terms[found.documents == number].tolist()) for number in range(found.size)]


@given(documents, st.data())
def test_documents_are_joined_with_their_neighbours_and_their_group(
    told: list[list[int]], data: st.DataObject
) -> None:
    steps = data.draw(st.lists(st.integers(0, 1), min_size=len(told), max_size=len(told)))
    groups = np.cumsum([0, *steps[1:]]).astype(np.int64)
    found, places = occurrences(told), range(len(told))
    near = [
        [near for near in places if abs(near - one) <= 1 and groups[near] == groups[one]] for one in places
    ]
    assert contents(found.with_neighbours(groups)) == [
        sorted(chain(*(told[n] for n in each))) for each in near
    ]
    whole = [[told[n] for n in places if groups[n] == group] for group in range(int(groups[-1]) + 1)]
    assert contents(found.grouped(groups)) == [sorted(chain(*each)) for each in whole]
    assert contents(found.also(found)) == [sorted(one * 2) for one in told]


def test_no_documents_have_no_scores() -> None:
    assert BM25(occurrences([]), 0).scores([], 3).shape == (0,)


def test_words_are_stems_without_stop_words() -> None:
    assert terms("She's been running to Maria’s bakeries!") == terms("runs Maria bakery")
    assert terms("Did you ever?") == terms("ever")
    assert terms("Ｃａｆé 北京") == ["café", "北京"]
