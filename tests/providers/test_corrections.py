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
