"""What models are asked and what they answer, before anything is decided."""

from __future__ import annotations

from msgspec import Struct

from memfold.schemas.records import Item, ModelCall


class FoundRelation(Struct, frozen=True):
    """A relation as an extractor found it; names as they were said, relationship in UPPER_SNAKE."""

    source: str
    relationship: str
    target: str
    source_type: str = "THING"
    target_type: str = "THING"
    confidence: float = 1.0
    ends: bool = False
    """True: it was said that this no longer holds."""


class FoundFact(Struct, frozen=True):
    """One fact worth keeping; `item` and `message` say where it was said."""

    text: str
    kind: str = "miscellaneous"
    item: int = 0
    message: int = 0
    confidence: float = 1.0
    relations: list[FoundRelation] = []


class Utterances(Struct, frozen=True):
    """What an extractor reads: the items of one command, and the name that "I" stands for."""

    items: list[Item]
    first_person: str


class Extraction(Struct, frozen=True):
    facts: list[FoundFact]
    calls: list[ModelCall] = []


class Similar(Struct, frozen=True):
    """An existing memory near a fact; `score` is the cosine, `relations` what it is evidence of."""

    memory_id: str
    text: str
    score: float
    relations: list[FoundRelation] = []


class Candidate(Struct, frozen=True):
    fact: FoundFact
    similar: list[Similar]


class Decision(Struct, frozen=True):
    """What becomes of one fact. UPDATE, DELETE and NONE name a memory that was shown with it."""

    op: str
    fact: int
    text: str
    memory_id: str | None = None


class Decisions(Struct, frozen=True):
    decisions: list[Decision]
    calls: list[ModelCall] = []
