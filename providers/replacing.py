"""Which memory a sentence takes the place of where no rule is sure: the signs of a change, weighed by logistic regression.

The weights are in `replacing.json`, one a sign, as `benchmarks/replacing.py` found them from the dialogues that the rules are
developed with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from memfold.memory.facts import FoundFact, Similar
from memfold.providers.change_signs import change_signs
from memfold.providers.once import Once

ENOUGH = 0.5
"""Logarithm of the least odds: about five to three."""
APART = 0.5
"""How far the likeliest memory must be ahead of the next: else it cannot be told which of them is meant."""
SAYS_SO = frozenset(
    {
        "corrected, of the same",
        "changed, of the same",
        "denied, of the same",
        "it is over",
        "put aside",
        "liking turned",
    }
)
"""Without one of these nothing is replaced. In the dialogues that the weights come from, much of what is alike is a change; in what
people tell each other over months it is a second thing of the same sort, and an update would lose the first."""


def _read() -> dict[str, float]:
    weights: dict[str, float] = json.loads(Path(__file__).with_suffix(".json").read_text())
    return weights


weights = Once(_read)


def likely_replaced(fact: FoundFact, text: str, shown: Sequence[Similar]) -> Similar | None:
    """The memory whose place the fact takes by all its signs; None where none, or more than one, is likely."""
    judged = [(change_signs(fact, text, each), each) for each in shown]
    ranked = sorted(
        ((_odds(signs), bool(signs & SAYS_SO) and "addition" not in signs, each) for signs, each in judged),
        key=lambda one: -one[0],
    )
    if not ranked or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < APART):
        return None
    best, says_so, memory = ranked[0]
    return memory if says_so and best > ENOUGH else None


def _odds(signs: frozenset[str]) -> float:
    known = weights()
    return known["always"] + sum(known.get(sign, 0.0) for sign in signs)
