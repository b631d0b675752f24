"""What a what-if counts of its model calls, and which recorded answer belongs to which question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from memfold.schemas.records import ModelCall

Key = tuple[str, str, str]
"""Provider, model, hash of the question."""


EXTRACTION, DECISION = "extraction", "decision"


class NotAsked(Exception):
    """A question has no recorded answer, and nothing is to be asked. `purpose`: what it would have been asked for."""

    def __init__(self, purpose: str) -> None:
        super().__init__(f"{purpose} is not asked for")
        self.purpose = purpose


@dataclass(slots=True)
class Tally:
    """Calls whose recorded answer was taken, calls that were made, calls without a usable answer, and those that would be made.

    `tokens` of what would be asked are guessed from its length.
    """

    reused: list[ModelCall] = field(default_factory=list)
    asked: list[ModelCall] = field(default_factory=list)
    unusable: int = 0
    unasked: int = 0
    tokens: int = 0


def answers_in(calls: Iterable[ModelCall]) -> dict[Key, ModelCall]:
    """The calls that were answered, by what was asked; the newest of equals."""
    return {key_of(call.provider, call.model, call.prompt_hash): call for call in calls if not call.error}


def key_of(provider: str, model: str, prompt_hash: str) -> Key:
    return provider, model, prompt_hash
