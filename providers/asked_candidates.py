"""Which candidates a decision call is shown, and how: many facts are cut into a bounded number of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from memfold.memory.facts import Candidate
from memfold.providers.pieces import pieces

AT_ONCE = 40
CHARACTERS = 60_000
"""Candidates and characters of one call."""
LONGEST_SHOWN = 4_000
"""Characters of a memory that the model sees. Only one that was kept as it was said can be longer."""


class Shown(NamedTuple):
    """One call: the numbers of its facts, the JSON that the model sees, and the memory ids behind the integers in it."""

    facts: list[int]
    data: list[dict[str, object]]
    ids: list[str]


def shown(candidates: Sequence[Candidate], facts: Sequence[int]) -> list[Shown]:
    """A bounded number of calls that together show the candidates with these numbers."""
    sizes = [_size(candidates[number]) for number in facts]
    return [_call(candidates, cut) for cut in pieces(facts, sizes, AT_ONCE, CHARACTERS)]


def _size(candidate: Candidate) -> int:
    """Characters that a candidate takes in the prompt, about."""
    seen = (min(len(similar.text), LONGEST_SHOWN) for similar in candidate.similar)
    return len(candidate.fact.text) + sum(seen)


def _call(candidates: Sequence[Candidate], facts: list[int]) -> Shown:
    numbers: dict[str, int] = {}
    data: list[dict[str, object]] = []
    for number in facts:
        fact, similar = candidates[number].fact, candidates[number].similar
        memories = [
            {"id": numbers.setdefault(memory.memory_id, len(numbers)), "text": memory.text[:LONGEST_SHOWN]}
            for memory in similar
        ]
        when = {"when": fact.when} if fact.when else {}
        data.append({"fact": number, "text": fact.text, **when, "similar": memories})
    return Shown(facts, data, list(numbers))
