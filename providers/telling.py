"""How likely a sentence tells something worth keeping: its signs, weighed by logistic regression.

The weights are in `telling.json`, one a sign, as `benchmarks/telling.py` found them from the dialogues that the rules are
developed with. A weight is the logarithm of how much likelier the sign makes a fact.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from spacy.tokens import Span

from memfold.providers.once import Once
from memfold.providers.signs import signs

ENOUGH = -1.0
"""Logarithm of the least odds, about one to three: a fact that is dropped is lost, talk that is kept is only in the way.

At 0.5 the golden dialogues' small talk is dropped to the last sentence, and with it a tenth of what real conversations tell.
"""


def _read() -> dict[str, float]:
    weights: dict[str, float] = json.loads(Path(__file__).with_suffix(".json").read_text())
    return weights


weights = Once(_read)


def tells(sentence: Span, called: Collection[str] = ()) -> bool:
    """Whether the signs of a sentence speak for a fact rather than for talk."""
    known = weights()
    return known["always"] + sum(known.get(sign, 0.0) for sign in signs(sentence, called)) > ENOUGH
