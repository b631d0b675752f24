"""What was told, in the order in which it was: when, by whom, in which conversation, and how much it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memfold.memory.dates import Span, span_of
from memfold.memory.framing import framed
from memfold.memory.ports import MemoryRow
from memfold.memory.wording import terms

PAUSE = timedelta(hours=4)
"""A longer one ends a conversation."""
ALONE = 0.25
"""What neighbours count in a monologue: facts that were told in one go need not be about one thing."""
LABELS = 0.5
"""From this share of texts on that begin with a repeated label, labels are speakers."""
LONG = 4.0
"""Logarithm of so many terms as say all that one memory can: some fifty."""
ASKING = 0.7
"""What a question back says, against a statement of its length."""


class Told(Struct, frozen=True):
    """What was read of one row."""

    row: MemoryRow
    words: str
    label: str
    moment: datetime
    terms: list[str]

    @classmethod
    def by(cls, row: MemoryRow) -> Told:
        found = framed(row.text)
        return cls(row, found.words, found.label, found.day or row.created_at, terms(found.words))

    def conversation(self) -> tuple[str, str, str]:
        scope = self.row.scope
        return scope.user_id or "", scope.agent_id or "", scope.run_id or ""

    def order(self) -> tuple[object, ...]:
        row = self.row
        return *self.conversation(), self.moment, row.created_at, row.added_offset, row.ordinal, row.memory_id

    def spans(self) -> list[Span]:
        """The day on which it was told, and what it tells of."""
        day = self.moment.date()
        happened = span_of(self.row.when) if self.row.when else None
        return [Span(day, day), *([happened] if happened else [])]


def conversations_of(told: Sequence[Told]) -> NDArray[np.int64]:
    """The number of the conversation that each belongs to."""
    breaks = [
        one.conversation() != other.conversation() or other.moment - one.moment > PAUSE
        for one, other in pairwise(told)
    ]
    return np.cumsum([False, *breaks][: len(told)], dtype=np.int64)


def speakers_of(told: Sequence[Told]) -> tuple[list[str], list[int]]:
    """(names, the number of the name for each memory, -1 for none)."""
    labels = Counter(one.label for one in told if one.label)
    common = {label for label, count in labels.items() if count > 1}
    labelled = sum(labels[label] for label in common) >= LABELS * len(told)
    names: dict[str, int] = {}
    numbers = []
    for one in told:
        name = one.row.scope.actor_id or (one.label if labelled and one.label in common else None)
        numbers.append(names.setdefault(name, len(names)) if name else -1)
    return list(names), numbers


def substance_of(told: Sequence[Told]) -> NDArray[np.float32]:
    """How much each says, 0 to 1."""
    lengths = np.array([len(one.terms) for one in told], dtype=np.float32)
    asking = np.array([one.words.rstrip().endswith("?") for one in told], dtype=np.bool_)
    return np.minimum(1, np.log1p(lengths) / np.float32(LONG)) * np.where(asking, ASKING, 1).astype(
        np.float32
    )


def exchange_of(
    told: Sequence[Told], speakers: Sequence[int], conversations: NDArray[np.int64]
) -> NDArray[np.float32]:
    """How much what was told beside a memory says about it: all in an exchange between two, less in facts told in one go."""
    voices: list[set[object]] = [set() for _ in range(int(conversations[-1]) + 1 if told else 0)]
    for one, speaker, number in zip(told, speakers, conversations, strict=True):
        voices[number].add(speaker if speaker >= 0 else one.row.role)
    return np.array([1.0 if len(voices[number]) > 1 else ALONE for number in conversations], dtype=np.float32)


def recency_of(told: Sequence[Told]) -> NDArray[np.float32]:
    """Above 0 for the oldest, 1 for the newest."""
    ranks = np.empty(len(told), dtype=np.float32)
    order = np.argsort(np.array([one.moment.timestamp() for one in told]), kind="stable")
    ranks[order] = np.arange(1, len(told) + 1)
    return ranks / np.float32(max(len(told), 1))
