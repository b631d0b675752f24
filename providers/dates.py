"""The dates that a sentence tells, made absolute from the day on which it was said.

"yesterday" becomes "yesterday (7 May 2023)": the words stay, and what they mean stands behind them. Loose words ("recently", "a few
days ago", "last summer") get no date, and neither does what two readers may count differently ("next Friday" said on a Monday).
Absolute dates are read by dateutil, and only where the parser sees a date: "may", "march" and "second" are mostly something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from dateutil import parser as absolute
from spacy.tokens import Span, Token

from memfold.providers import periods
from memfold.providers.periods import UNITS, WEEKDAYS, Period

NUMBERS = {
    word: number
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
        start=1,
    )
} | {"a": 1, "an": 1}
NAMED = {
    "today": 0,
    "tonight": 0,
    "this morning": 0,
    "this afternoon": 0,
    "this evening": 0,
    "yesterday": -1,
    "last night": -1,
    "the day before yesterday": -2,
    "tomorrow": 1,
    "the day after tomorrow": 2,
}
PART_OF_DAY = r"(?:\s+(?:morning|afternoon|evening|night))?(?:['’]s)?"
COUNT = rf"\d{{1,3}}|{'|'.join(NUMBERS)}"
UNIT = "|".join(UNITS)
DAY = "|".join(WEEKDAYS)
RELATIVE = re.compile(
    rf"\b(?:(?P<named>{'|'.join(sorted(NAMED, key=len, reverse=True))})"
    rf"|(?P<ago>{COUNT})\s+(?P<ago_unit>{UNIT})s?\s+(?:ago|back)"
    rf"|in\s+(?P<ahead>{COUNT})\s+(?P<ahead_unit>{UNIT})s?(?=\s*(?:[.,;:!?)]|and\b|$))"
    rf"|(?<!\bthe )(?P<which>last|this|next|this past|this coming)\s+(?P<unit>{UNIT}|{DAY})(?!s?\s+(?:of|after|before)\b)"
    rf"|on\s+(?P<on>{DAY})(?!s))\b{PART_OF_DAY}",
    re.IGNORECASE,
)
"""In "the last week" and "the next month" the days count from now; in "on Fridays" none is meant."""
MONTH = re.compile(
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b",
    re.IGNORECASE,
)
YEAR = re.compile(r"\b(?:19|20)\d\d\b")
ISO_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
WHOLLY_A_DATE = re.compile(
    rf"(?:(?:the|of|in|on|late|early|mid|,|\d{{1,2}}(?:st|nd|rd|th)?|(?:19|20)\d\d|{MONTH.pattern}|{DAY})[\s,-]*)+",
    re.IGNORECASE,
)
EACH_YEAR = re.compile(r"\b(?:birthdays?|anniversary|every|each|always|usually|born)\b", re.IGNORECASE)
MIGHT_TELL = re.compile(
    rf"\b(?:today|tonight|this|yesterday|tomorrow|last|next|ago|back|in|{DAY}|(?:19|20)\d\d)\b|{MONTH.pattern}",
    re.IGNORECASE,
)
PAST = frozenset({"VBD", "VBN"})


@dataclass(frozen=True, slots=True)
class Told:
    """A period and where the sentence tells it, in characters of the document. `added`: what its words leave open."""

    period: Period
    start: int
    end: int
    added: str
    verb: Token
    """The verb that it belongs to."""


def dates_in(sentence: Span, said_at: datetime | None) -> list[Told]:
    """In the order of the sentence; without `said_at` only those that bring their own year."""
    text = str(sentence.text)
    if not MIGHT_TELL.search(text):
        return []
    today = said_at.date() if said_at is not None else None
    found = list(_relative(sentence, today)) if today is not None else []
    for told in _absolute(sentence, today):
        if not any(told.start < other.end and other.start < told.end for other in found):
            found.append(told)
    return sorted(found, key=lambda told: told.start)


def with_dates(sentence: Span, told: list[Told]) -> str:
    """The sentence with each date's missing part in brackets behind its words."""
    text = str(sentence.text)
    for each in reversed(told):
        if each.added:
            end = each.end - sentence.start_char
            text = f"{text[:end]} ({each.added}){text[end:]}"
    return text


def _relative(sentence: Span, today: date) -> Iterator[Told]:
    for match in RELATIVE.finditer(sentence.text):
        verb = _verb(sentence, match.start())
        period = _period(match, today, verb)
        if period is not None:
            start = sentence.start_char
            yield Told(period, start + match.start(), start + match.end(), str(period), verb)


def _period(match: re.Match[str], today: date, verb: Token) -> Period | None:
    said = {name: " ".join(text.lower().split()) for name, text in match.groupdict().items() if text}
    if "named" in said:
        return periods.counted(today, NAMED[said["named"]], "day")
    if "ago" in said:
        return periods.counted(today, -_number(said["ago"]), said["ago_unit"])
    if "ahead" in said:
        return periods.counted(today, _number(said["ahead"]), said["ahead_unit"])
    if "on" in said:
        return periods.weekday(today, said["on"], -1 if _is_past(verb) else 1)
    return _which(said["which"], said["unit"], today)


def _which(which: str, unit: str, today: date) -> Period | None:
    back = which in {"last", "this past"}
    if unit in UNITS:
        if unit == "day":
            return None
        # On a Sunday "last weekend" is the one before; "this past weekend" said on a Monday is the one just over.
        return periods.counted(today, {"last": -1, "this past": -1, "next": 1}.get(which, 0), unit)
    if back:
        return periods.weekday(today, unit, -1)
    coming = periods.weekday(today, unit, 1)
    ambiguous = which == "next" and coming.first <= periods.week(today).last
    return None if ambiguous else coming


def _absolute(sentence: Span, today: date | None) -> Iterator[Told]:
    recurs = EACH_YEAR.search(sentence.text)
    for entity in sentence.ents:
        text = str(entity.text)
        if recurs and not YEAR.search(text):
            continue
        if entity.label_ != "DATE" or not (MONTH.search(text) or YEAR.search(text)):
            continue
        if WHOLLY_A_DATE.fullmatch(text) or ISO_DATE.fullmatch(text):
            verb = _verb(sentence, entity.start_char - sentence.start_char)
            # What lasts since June began in a June that is over.
            since = entity.root.head.lower_ == "since"
            period = _read(text, today, since or _is_past(verb))
            if period is not None:
                added = "" if YEAR.search(text) else f"{period.first:%Y}"
                yield Told(period, entity.start_char, entity.end_char, added, verb)


def _read(text: str, today: date | None, past: bool) -> Period | None:
    """A date, a month or a year; without a year the nearest one in the direction that the verb tells."""
    if not YEAR.search(text) and today is None:
        return None
    bare = re.sub(r"\b(?:the|of|in|on|late|early|mid)\b", " ", text, flags=re.IGNORECASE)
    if YEAR.fullmatch(bare.strip()):
        return periods.year(date(int(bare), 1, 1))
    try:
        # What the text leaves open is taken from the default: two readings that agree on the day have it from the text.
        one, other = (
            absolute.parse(bare, default=datetime(today.year if today else 2000, 1, default_day)).date()
            for default_day in (1, 2)
        )
    except (ValueError, OverflowError):
        return None
    period = periods.day(one) if one == other else periods.month(one)
    if YEAR.search(text) or today is None:
        return period
    if past and period.first > today:
        return _read(f"{bare} {today.year - 1}", today, past)
    if not past and period.last < today:
        return _read(f"{bare} {today.year + 1}", today, past)
    return period


def _number(text: str) -> int:
    return NUMBERS[text] if text in NUMBERS else int(text)


def _verb(sentence: Span, at: int) -> Token:
    """The verb above the word at a character of the sentence; its root if there is none."""
    start = sentence.start_char + at
    token = next((token for token in sentence if token.idx + len(token) > start), sentence.root)
    while token.pos_ not in {"VERB", "AUX"} and token.dep_ != "ROOT":
        token = token.head
    return token


def _is_past(verb: Token) -> bool:
    """Told of the past: "went", "have been", "was going"; an infinitive is as the verb above it."""
    while verb.dep_ != "ROOT" and (
        (verb.tag_ in {"VB", "VBG"} and verb.dep_ in {"xcomp", "advcl", "pcomp"}) or verb.dep_ == "acomp"
    ):
        verb = verb.head
    finite = [child for child in verb.children if child.dep_ in {"aux", "auxpass"}]
    if any(child.tag_ == "MD" for child in finite):
        return False
    # "I'm getting married in June" is still to come; "was married", "have married" and a bare "married" are over.
    over = not finite or any(child.tag_ == "VBD" or child.lemma_ == "have" for child in finite)
    return over and (verb.tag_ in PAST or any(child.tag_ == "VBD" for child in finite))
