"""Which dates a sentence tells, said on Wednesday 10 May 2023, and how they stand in its words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memfold.providers.dates import dates_in, with_dates
from memfold.providers.spacy_model import parser

WEDNESDAY = datetime(2023, 5, 10, 12, tzinfo=UTC)
MADE_ABSOLUTE = {
    "I went to the hospital yesterday.": ("yesterday (9 May 2023)", "2023-05-09"),
    "I saw it last Friday night.": ("last Friday night (5 May 2023)", "2023-05-05"),
    "Last week's trip was great.": ("Last week's (1 to 7 May 2023)", "2023-05-01/2023-05-07"),
    "We camped two weekends ago.": ("ago (29 to 30 April 2023)", "2023-04-29/2023-04-30"),
    "I ran a marathon last month.": ("last month (April 2023)", "2023-04-01/2023-04-30"),
    "I moved here three years ago.": ("ago (2020)", "2020-01-01/2020-12-31"),
    "I finish in two weeks.": ("weeks (22 to 28 May 2023)", "2023-05-22/2023-05-28"),
    "My flight leaves on Friday.": ("on Friday (12 May 2023)", "2023-05-12"),
    "I met her on Friday.": ("on Friday (5 May 2023)", "2023-05-05"),
    "We meet next Monday.": ("next Monday (15 May 2023)", "2023-05-15"),
    "I left Google in March.": ("March (2023)", "2023-03-01/2023-03-31"),
    "We got married in June.": ("June (2022)", "2022-06-01/2022-06-30"),
    "I'm getting married to Anna in June.": ("June (2023)", "2023-06-01/2023-06-30"),
    "I've been dating Chris since January.": ("January (2023)", "2023-01-01/2023-01-31"),
    "I am leaving on December 24.": ("December 24 (2023)", "2023-12-24"),
}
AS_SAID = {
    "I left Google in March 2024.": ["2024-03-01/2024-03-31"],
    "I was born on 5 May 1990.": ["1990-05-05"],
    "I started on 2023-04-02.": ["2023-04-02"],
    "We meet next Friday.": [],
    "I may go in a second.": [],
    "I have known him for 4 years.": [],
    "It was the last week of school.": [],
    "I see April on Fridays.": [],
    "My birthday is May 5.": [],
}


def made_absolute(text: str, said_at: datetime | None) -> tuple[str, list[str]]:
    (sentence,) = parser()(text).sents
    told = dates_in(sentence, said_at)
    return with_dates(sentence, told), [each.period.iso for each in told]


@pytest.mark.parametrize(("text", "expected"), MADE_ABSOLUTE.items())
def test_what_is_relative_gets_its_date(text: str, expected: tuple[str, str]) -> None:
    words, told = made_absolute(text, WEDNESDAY)
    assert expected[0] in words
    assert told == [expected[1]]


@pytest.mark.parametrize(("text", "expected"), AS_SAID.items())
def test_what_is_absolute_loose_or_ambiguous_stays_as_said(text: str, expected: list[str]) -> None:
    assert made_absolute(text, WEDNESDAY) == (text, expected)


def test_without_a_time_only_what_brings_its_year_is_dated() -> None:
    assert made_absolute("I went there yesterday.", None) == ("I went there yesterday.", [])
    assert made_absolute("I left Google in March 2024.", None)[1] == ["2024-03-01/2024-03-31"]
