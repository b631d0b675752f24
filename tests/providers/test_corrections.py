"""What a sentence takes the place of, by its words."""

from __future__ import annotations

import pytest

from memfold.memory.facts import Similar
from memfold.providers.corrections import corrected


def found(text: str, *memories: str) -> str | None:
    similar = [Similar(str(number), memory, 0.5) for number, memory in enumerate(memories)]
    replaced = corrected(text, similar)
    return replaced.text if replaced else None


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("My rent is 1200 a month now", "My rent is 1000 a month"),
        ("Sorry, I meant the meeting with Ana is at four", "The meeting with Ana is at three"),
        ("I cancelled the gym membership", "I have a gym membership"),
        ("I stopped collecting stamps", "I collect stamps"),
        ("Our cleaner is Ivo now", "Our cleaner is Lena"),
    ],
)
def test_a_change_of_the_same_thing_takes_its_place(text: str, memory: str) -> None:
    assert found(text, memory, "I have a bicycle") == memory


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("My rent is 1200 a month", "My rent is 1000 a month"),
        ("I also collect coins now", "I collect stamps"),
        ("I am reading a novel now", "I live in a house by the sea"),
        ("My brother's rent is high these days", "My car needs a new battery"),
        ("Actually I have to go", "I have a bicycle"),
    ],
)
def test_without_a_change_or_without_the_same_thing_both_stay(text: str, memory: str) -> None:
    assert found(text, memory) is None


def test_when_two_may_be_meant_neither_is_replaced() -> None:
    assert (
        found("I cancelled the membership", "I have a gym membership", "I have a museum membership") is None
    )


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("Rosa and I are separated", "I'm married to Rosa"),
        ("My old laptop died", "I have an old laptop"),
        ("We're not going to Chile after all", "We're going to Chile in spring"),
        ("I eat rye bread instead of white bread", "I eat white bread"),
    ],
)
def test_what_is_over_may_stand_before_the_word_that_says_so(text: str, memory: str) -> None:
    assert found(text, memory) == memory


def test_one_of_two_things_that_ends_does_not_take_the_other_with_it() -> None:
    assert found("We cancelled Hulu", "We have Netflix and Hulu") is None


def test_what_is_over_already_does_not_end_again() -> None:
    assert found("I no longer work at Ikea", "I left Ikea") is None
