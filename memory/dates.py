"""The times that a question names: "in June", "on 8 May 2023", "last week". English; ISO 8601 dates in any language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

NEAR = timedelta(days=3)
"""What happened on a day is often told a day or two later."""
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join(_MONTHS)
# "may" and "march" are verbs as well: in small letters they need a word before them that only a time has.
_VERBS = re.compile(
    r"(?<!in )(?<!of )(?<!since )(?<!last )(?<!until )(?<!by )(?<!\d )\b(?:may|march)\b(?! \d)"
)
_ISO = re.compile(r"\b(\d{4})-(\d\d)(?:-(\d\d))?\b")
_DAY = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?:{_MONTH})|(?:{_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b)"
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_AGO = re.compile(r"\b(\d+|an?|one|two|three|four|five|six) (day|week|month|year)s? ago\b")
_LAST = re.compile(r"\b(last|past|this) (week|month|year)\b")
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


@dataclass(frozen=True, slots=True)
class Span:
    """From a day to a day, both inside."""

    first: date
    last: date

    def meets(self, other: Span) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Times:
    """Months, years and days as they were named, and spans counted back from the day of asking."""

    months: frozenset[int] = frozenset()
    years: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    spans: Sequence[Span] = ()

    def __bool__(self) -> bool:
        return bool(self.months or self.years or self.spans)

    def hold(self, span: Span) -> bool:
        """Whether something of that time is meant: each of month, year and day that is named fits, or one of the spans does."""
        if any(mine.meets(span) for mine in self.spans):
            return True
        if not (self.months or self.years):
            return False
        if self.years and not any(span.first.year <= year <= span.last.year for year in self.years):
            return False
        if self.months and not self.months & _months_of(span):
            return False
        if not (self.days and self.months):
            return True
        return any(Span(day - NEAR, day + NEAR).meets(span) for day in self._dates(span))

    def _dates(self, span: Span) -> list[date]:
        years = self.years or {span.first.year, span.last.year}
        return [
            found
            for year in years
            for month in self.months
            for day in self.days
            if (found := _date(year, month, day))
        ]


def times_in(question: str, asked: date) -> Times:
    """`asked`: the day from which "last week" is counted."""
    small = _VERBS.sub(" ", question).casefold()
    spans = [*_iso(small), *_relative(small, asked)]
    small = _ISO.sub(" ", small)
    months = frozenset(number for number, name in enumerate(_MONTHS, 1) if re.search(rf"\b{name}\b", small))
    days = frozenset(int(one or other) for one, other in _DAY.findall(small))
    years = frozenset(map(int, _YEAR.findall(small)))
    return Times(months, years, days, tuple(spans))


def span_of(text: str) -> Span | None:
    """The days of an ISO 8601 date, month, year or interval, as memories carry them in `when`; None for anything else."""
    first, _, last = text.partition("/")
    one, other = _days_of(first), _days_of(last or first)
    return Span(one.first, other.last) if one and other else None


def _days_of(text: str) -> Span | None:
    year, *rest = text.split("T")[0].split("-")
    if not (year.isdecimal() and all(part.isdecimal() for part in rest)):
        return None
    month, day = (int(rest[0]) if rest else 0), (int(rest[1]) if len(rest) > 1 else 0)
    first = _date(int(year), month or 1, day or 1)
    if first is None:
        return None
    if day:
        return Span(first, first)
    end = _date(first.year + 1, 1, 1) if not month or month == 12 else _date(first.year, month + 1, 1)
    return Span(first, end - timedelta(days=1)) if end else None


def _iso(text: str) -> list[Span]:
    return [span for found in _ISO.finditer(text) if (span := _days_of(found[0]))]


def _relative(text: str, asked: date) -> list[Span]:
    spans = []
    for word, back in (("today", 0), ("yesterday", 1)):
        if re.search(rf"\b{word}\b", text):
            spans.append(_around(asked, back, back))
    for which, unit in _LAST.findall(text):
        length = _DAYS[unit]
        spans.append(_around(asked, length, 0) if which != "last" else _around(asked, 2 * length, 0))
    for number, unit in _AGO.findall(text):
        back = int(_NUMBERS.get(number) or number) * _DAYS[unit]
        slack = _DAYS[unit] // 2
        spans.append(_around(asked, back + slack, back - slack))
    return spans


def _around(asked: date, most: int, least: int) -> Span:
    earliest = asked.toordinal() - 1
    return Span(asked - timedelta(days=min(most, earliest)), asked - timedelta(days=min(least, earliest)))


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _months_of(span: Span) -> set[int]:
    count = 12 * (span.last.year - span.first.year) + span.last.month - span.first.month
    return {(span.first.month - 1 + number) % 12 + 1 for number in range(min(count, 11) + 1)}
