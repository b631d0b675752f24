"""Reads a model's answer into facts and relations; what is wrong in one place makes the whole answer unusable."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import Struct

from memfold.memory.facts import FoundFact, FoundRelation, Utterances
from memfold.memory.prompts import KINDS
from memfold.providers.asked_messages import Place, speaker_of
from memfold.providers.json_answers import UnusableAnswer, read_answer

MOST_FACTS = 200
LONGEST_TEXT = 4_000
LONGEST_NAME = 200
THE_SPEAKER = frozenset({"i", "me", "myself", "user", "the user", "speaker", "the speaker"})
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_SHORT_DATE = re.compile(r"\d{4}(-\d{2})?")


class _Relation(Struct):
    source: str
    relationship: str
    target: str
    source_type: str | None = None
    target_type: str | None = None
    source_which: str | None = None
    target_which: str | None = None
    confidence: float | None = None
    ends: bool | None = None
    at: str | None = None


class _Fact(Struct):
    text: str
    kind: str | None = None
    message: int | None = None
    confidence: float | None = None
    when: str | None = None
    relations: list[_Relation] | None = None


class _Facts(Struct):
    facts: list[_Fact | str]


def facts_in(text: str, places: list[Place], said: Utterances) -> list[FoundFact]:
    """The facts of an answer about the messages at `places`. Raises UnusableAnswer."""
    answer = read_answer(text, _Facts, list_of="facts")
    if len(answer.facts) > MOST_FACTS:
        raise UnusableAnswer(f"{len(answer.facts)} facts; at most {MOST_FACTS} are believed")
    return [_fact(fact, places, said) for fact in answer.facts]


def _fact(answer: _Fact | str, places: list[Place], said: Utterances) -> FoundFact:
    fact = _Fact(answer) if isinstance(answer, str) else answer
    number = fact.message
    if number is None and len(places) == 1:
        number = 0
    if number is None or not 0 <= number < len(places):
        raise UnusableAnswer(f"a fact is from message {number}, which was not shown")
    place = places[number]
    speaker = speaker_of(said, place)
    who = speaker or said.first_person
    return FoundFact(
        text=checked("fact", fact.text, LONGEST_TEXT),
        kind=fact.kind if fact.kind is not None and fact.kind in KINDS else "miscellaneous",
        item=place.item,
        message=place.message,
        confidence=_confidence(fact.confidence),
        relations=[_relation(relation, who) for relation in fact.relations or []],
        speaker=speaker,
        when=_when(fact.when),
    )


def _relation(answer: _Relation, who: str) -> FoundRelation:
    return FoundRelation(
        source=_name(answer.source, who),
        relationship=_upper_snake(answer.relationship),
        target=_name(answer.target, who),
        source_type=_upper_snake(answer.source_type or "THING"),
        target_type=_upper_snake(answer.target_type or "THING"),
        confidence=_confidence(answer.confidence),
        ends=bool(answer.ends),
        source_which=_which(answer.source_which),
        target_which=_which(answer.target_which),
        at=_date((answer.at or "").partition("/")[0]),
    )


def _name(name: str, who: str) -> str:
    name = checked("name", name, LONGEST_NAME)
    return who if name.casefold() in THE_SPEAKER else name


def _which(which: str | None) -> str:
    return checked("word that tells who is meant", which, LONGEST_NAME) if which and which.strip() else ""


def checked(what: str, text: str, longest: int) -> str:
    """The text on one line. Raises UnusableAnswer for one that is blank, too long or not storable."""
    text = " ".join(text.split())
    if not text or len(text) > longest or _UNSTORABLE.search(text):
        raise UnusableAnswer(
            f"a {what} is blank, longer than {longest} characters or not storable: {text[:80]!r}"
        )
    return text


def _upper_snake(name: str) -> str:
    snake = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    if not snake or len(snake) > LONGEST_NAME:
        raise UnusableAnswer(f"{name[:80]!r} cannot be written in UPPER_SNAKE")
    return snake


def _confidence(confidence: float | None) -> float:
    if confidence is None:
        return 1.0
    if not 0.0 <= confidence <= 1.0:
        raise UnusableAnswer(f"a confidence is {confidence}, not between 0 and 1")
    return confidence


def _when(text: str | None) -> str:
    """The date or start/end if it is one; "next week", which a model leaves where it cannot tell, counts as not told."""
    parts = (text or "").strip().split("/")
    known = len(parts) <= 2 and all(_date(part) is not None for part in parts)
    return "/".join(parts) if known else ""


def _date(text: str) -> datetime | None:
    """The beginning of an ISO 8601 date, month or year, in UTC where it names no zone; None for anything else."""
    text = text.strip()
    if _SHORT_DATE.fullmatch(text):
        text = f"{text}-01-01"[:10]
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
