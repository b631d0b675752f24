"""One score for each memory from named parts, and the best of them.

Each part lies between 0 and about 1 whatever else is in the corpus, so a score means the same for every question. A part that is
x adds its weight times x to the evidence; the score is 1 - exp(-evidence), which is what independent hints come to together: 0
without any, and close to 1 only with many.

A threshold asks how far a memory has to do with the question, so what says nothing of that is left out of it: whatever is long
or new would pass otherwise. No memory with a score below the threshold passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.memory.corpus import Corpus
from memfold.memory.ports import Vectors
from memfold.memory.questions import Question
from memfold.memory.weights import Weights

Part = NDArray[np.float32]
_TWO = np.float32(2)
_UNRELATED = ("substance", "recency")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A memory's place in the corpus, its score, and what each part added to the evidence."""

    place: int
    score: float
    parts: Mapping[str, float]


def parts_of(question: Question, vector: Vectors, corpus: Corpus) -> dict[str, Part]:
    """Every part, one value for each memory of the corpus, by the names in `Weights`."""
    meaning = np.maximum(corpus.meaning(vector), 0)
    own = (meaning + corpus.said.scores(*question.bare_terms)) / _TWO
    around = corpus.windows.scores(*question.bare_terms)
    talks = corpus.talks.scores(*question.bare_terms)[corpus.conversations]
    return {
        "meaning": meaning,
        "words": corpus.whole.scores(*question.terms),
        "nearby": corpus.exchange * (around + corpus.before(own)) / _TWO,
        "conversation": corpus.exchange * talks,
        "speaker": question.speaker(corpus),
        "graph": question.graph(corpus),
        "time": question.time(corpus),
        "substance": corpus.substance,
        "recency": corpus.recency,
    }


def best(
    parts: Mapping[str, Part], weights: Weights, inside: NDArray[np.bool_], limit: int, threshold: float
) -> list[Ranked]:
    """The best `limit` of those `inside` that the threshold lets pass, best first, equal ones in the corpus's order."""
    worth: dict[str, float] = weights.model_dump()
    related, evidence = np.zeros(len(inside), np.float32), np.zeros(len(inside), np.float32)
    for name, part in parts.items():
        (evidence if name in _UNRELATED else related)[:] += np.float32(worth[name]) * part
    scores = -np.expm1(-(evidence + related))
    places = np.flatnonzero(inside & (-np.expm1(-related) >= threshold))
    places = places[np.argsort(-scores[places], kind="stable")][:limit]
    return [
        Ranked(
            int(place),
            float(scores[place]),
            {name: worth[name] * float(part[place]) for name, part in parts.items() if part[place]},
        )
        for place in places
    ]
