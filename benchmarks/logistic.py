"""Logistic regression over named signs, small enough to be read: Newton's method with a penalty on large weights."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

PENALTY = 1.0


class Shown(NamedTuple):
    """What one example shows, whether it is what is looked for, and how much it counts."""

    signs: frozenset[str]
    wanted: bool
    weight: float = 1.0


def fitted(examples: Sequence[Shown]) -> dict[str, float]:
    """The weight of each sign; "always" is what every example gets."""
    names = sorted({sign for example in examples for sign in example.signs})
    shown = np.array(
        [[*(name in example.signs for name in names), True] for example in examples], dtype=float
    )
    wanted = np.array([example.wanted for example in examples], dtype=float)
    counts = np.array([example.weight for example in examples])
    penalty = np.diag([PENALTY] * len(names) + [0.0])
    weights: NDArray[np.float64] = np.zeros(len(names) + 1)
    for _ in range(20):
        likely = 1 / (1 + np.exp(-shown @ weights))
        slope = shown.T @ (counts * (likely - wanted)) + penalty @ weights
        bend = (shown.T * (counts * likely * (1 - likely))) @ shown + penalty
        weights -= np.linalg.solve(bend, slope)
    return {name: round(float(weight), 2) for name, weight in zip([*names, "always"], weights, strict=True)}


def odds(signs: frozenset[str], weights: dict[str, float]) -> float:
    return weights["always"] + sum(weights.get(sign, 0.0) for sign in signs)


T = TypeVar("T")


def left_out(
    examples: Sequence[T], shown: Callable[[T], Shown | None], group: Callable[[T], Hashable]
) -> list[dict[str, float]]:
    """For each example the weights that were fitted without its group; one that shows nothing is only judged."""
    without = {
        left: fitted([one for each in examples if group(each) != left and (one := shown(each)) is not None])
        for left in {group(each) for each in examples}
    }
    return [without[group(each)] for each in examples]


def folds(names: Sequence[str], count: int) -> dict[str, int]:
    """Which of `count` parts each name is in, the same in every run."""
    mixed = np.random.default_rng(1).permutation(sorted(set(names)))
    return {str(name): number % count for number, name in enumerate(mixed)}
