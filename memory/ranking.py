"""One score for each memory from named parts, and the best of them.

Each part lies between 0 and about 1 whatever else is in the corpus, so a score means the same for every question. A part that is
x adds its weight times x to the evidence; the score is 1 - exp(-evidence), which is what independent hints come to together: 0
without any, and close to 1 only with many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from memfold.memory.corpus import Corpus
from memfold.memory.ports import Vectors
from memfold.memory.questions import Question
from memfold.memory.weights import Weights

Part = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A memory's place in the corpus, its score, and what each part added to the evidence."""

    place: int
    score: float
    parts: Mapping[str, float]


def parts_of(question: Question, vector: Vectors, corpus: Corpus) -> dict[str, Part]:
    """Every part, one value for each memory of the corpus, by the names in `Weights`."""
    meaning = np.maximum(corpus.meaning(vector), 0)
    own = (meaning + corpus.said.scores(*question.bare_terms)) / 2
    around = corpus.windows.scores(*question.bare_terms)
    talks = corpus.talks.scores(*question.bare_terms)
    count = len(corpus)
    return {
        "meaning": meaning,
        "words": corpus.whole.scores(*question.terms),
        "nearby": (around + corpus.before(own)) / 2,
        "conversation": talks[corpus.conversations] if len(talks) > 1 else np.zeros(count, np.float32),
        "speaker": question.speaker(corpus),
        "graph": question.graph(corpus),
        "time": question.time(corpus),
        "substance": corpus.substance,
        "recency": np.arange(1, count + 1, dtype=np.float32) / max(count, 1),
    }


def best(
    parts: Mapping[str, Part], weights: Weights, inside: NDArray[np.bool_], limit: int, threshold: float
) -> list[Ranked]:
    """The best `limit` of those `inside` whose score is not below the threshold, best first, equal ones in the corpus's order."""
    worth: dict[str, float] = asdict(weights)
    evidence = sum((np.float32(worth[name]) * part for name, part in parts.items()), np.float32(0))
    scores = -np.expm1(-np.asarray(evidence))
    places = np.flatnonzero(inside & (scores >= threshold))
    places = places[np.argsort(-scores[places], kind="stable")][:limit]
    return [
        Ranked(
            int(place),
            float(scores[place]),
            {name: worth[name] * float(part[place]) for name, part in parts.items() if part[place]},
        )
        for place in places
    ]
