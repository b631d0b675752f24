"""What models are asked and what they answer, before anything is decided."""

from __future__ import annotations

from datetime import datetime

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
    source_which: str = ""
    target_which: str = ""
    """What tells an entity from others of its name, if the sentence says it: "sister" in "my sister Maria"."""
    at: datetime | None = None
    """When it began to hold, or with `ends` when it stopped, if that was said."""
    said_as: str = ""
    """What the model called it, where the vocabulary has another name for it."""


class FoundFact(Struct, frozen=True):
    """One fact worth keeping; `item` and `message` say where it was said."""

    text: str
    kind: str = "miscellaneous"
    item: int = 0
    message: int = 0
    confidence: float = 1.0
    relations: list[FoundRelation] = []
    speaker: str = ""
    """The name of the message; empty where it has none, and "I" is the subject."""
    when: str = ""
    """ISO 8601 date, or start/end, of what it tells, made absolute from the time of the message; empty: not told."""
    takes_back: bool = False
    """The message says that something was wrong, perhaps in another sentence: "Typo! My cat is called Lulu"."""


class Utterances(Struct, frozen=True):
    """What an extractor reads: the items of one command, and who and when "I" and "now" are where a message does not say it.

    In a message with a name, "I" is that name. `asked_at` is the time of messages that bring none.
    """

    items: list[Item]
    first_person: str
    asked_at: datetime | None = None

    def speaker(self, item: int, message: int) -> str:
        """Who "I" is in a message."""
        return self.items[item].messages[message].name or self.first_person

    def said_at(self, item: int) -> datetime | None:
        return self.items[item].said_at or self.asked_at


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
