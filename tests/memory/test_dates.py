"""Which times a question names, and which memories' days they hold."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.dates import Span, span_of, times_in

ASKED = date(2026, 11, 25)


def day(text: str) -> Span:
    found = date.fromisoformat(text)
    return Span(found, found)


@pytest.mark.parametrize(
    ("question", "inside", "outside"),
    [
        ("What did she do in June?", "2023-06-30", "2023-07-01"),
        ("What did she do in June 2023?", "2023-06-01", "2024-06-01"),
        ("Where was he in 2022?", "2022-12-31", "2023-01-01"),
        ("Who came on 8 May 2023?", "2023-05-10", "2023-05-20"),
        ("Who came on May 8th, 2023?", "2023-05-08", "2023-06-08"),
        ("Who came on the 8th of May?", "2024-05-09", "2024-05-20"),
        ("What happened on 2023-05-08?", "2023-05-08", "2023-05-09"),
        ("What happened in 2023-05?", "2023-05-31", "2023-06-01"),
        ("What did I eat yesterday?", "2026-11-24", "2026-11-25"),
        ("What did I say today?", "2026-11-25", "2026-11-24"),
        ("Whom did I meet last week?", "2026-11-15", "2026-11-01"),
        ("What did we plan two months ago?", "2026-09-26", "2026-11-20"),
        ("Where was I 3 days ago?", "2026-11-22", "2026-11-18"),
    ],
)
def test_a_time_that_is_named(question: str, inside: str, outside: str) -> None:
    times = times_in(question, ASKED)
    assert times
    assert times.hold(day(inside))
    assert not times.hold(day(outside))


@pytest.mark.parametrize(
    "question",
    ["May I ask you something? I may march on", "What does she like?", "How many are 12 eggs?", "March on!"],
)
def test_no_time_is_named(question: str) -> None:
    small = question.replace("May I", "may I").replace("March on", "march on")
    assert not times_in(small, ASKED)


def test_a_span_across_the_turn_of_the_year_holds_its_months() -> None:
    winter = span_of("2025-12-20/2026-01-10")
    assert winter is not None
    assert winter == Span(date(2025, 12, 20), date(2026, 1, 10))
    assert times_in("in January", ASKED).hold(winter)
    assert times_in("in December 2025", ASKED).hold(winter)
    assert not times_in("in June", ASKED).hold(winter)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01", "2026-12-31"),
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("2026-12", "2026-12-01", "2026-12-31"),
        ("2026-02-03", "2026-02-03", "2026-02-03"),
        ("2026-02-03T12:00:00+00:00", "2026-02-03", "2026-02-03"),
    ],
)
def test_what_memories_carry(text: str, first: str, last: str) -> None:
    assert span_of(text) == Span(date.fromisoformat(first), date.fromisoformat(last))


@given(st.text() | st.from_regex(r"[0-9]{1,5}(-[0-9]{1,3}){0,3}(/[0-9]{4})?", fullmatch=True), st.dates())
def test_any_text_is_read_or_is_none(text: str, asked: date) -> None:
    span = span_of(text)
    assert span is None or span.last - span.first >= timedelta(days=-4_000_000)
    times_in(f"{text} days ago, 5 years ago in {text}", asked).hold(Span(asked, asked))
