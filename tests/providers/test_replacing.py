"""Which memory a sentence takes the place of, by weighed signs: only where it says that something changed, and of which."""

from __future__ import annotations

import pytest

from memfold.memory.facts import FoundFact, Similar
from memfold.providers.change_signs import change_signs
from memfold.providers.replacing import likely_replaced, weights


def found(text: str, *memories: str, score: float = 0.6) -> str | None:
    shown = [Similar(str(number), memory, score) for number, memory in enumerate(memories)]
    replaced = likely_replaced(FoundFact(text), text, shown)
    return replaced.text if replaced else None


def test_the_signs_of_a_change_are_named() -> None:
    memory = Similar("m0", "I rent a garage on Elm Street", 0.6)
    found = change_signs(FoundFact(""), "I don't rent the garage anymore", memory)
    assert {"same subject", "over", "it is over", "denied", "cosine 0.5", "words shared: 2"} <= found
    assert "changed" not in found
    assert "corrected" in change_signs(
        FoundFact("", takes_back=True), "I rent a garage on Oak Street", memory
    )


def test_every_sign_that_must_be_there_has_a_weight() -> None:
    assert "always" in weights()
    assert weights()["it is over"] > 0
    assert weights()["addition"] < 0


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("We grow leeks in the garden these days", "We grow tomatoes in the garden"),
        ("I don't rent the garage on Elm Street anymore", "I rent a garage on Elm Street"),
    ],
)
def test_a_change_that_is_said_takes_the_place_of_what_it_is_about(text: str, memory: str) -> None:
    assert found(text, memory, "I have a bicycle") == memory


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("We grow tomatoes on the balcony", "We grow tomatoes in the garden"),
        ("We also grow leeks in the garden now", "We grow tomatoes in the garden"),
        ("I went to the lake on Friday", "I went to the lake on Monday"),
        ("I don't have time now", "We grow tomatoes in the garden"),
    ],
)
def test_what_is_only_alike_stays_beside_it(text: str, memory: str) -> None:
    assert found(text, memory) is None


def test_which_of_two_that_are_as_likely_is_not_guessed() -> None:
    assert found("We grow leeks in the garden these days", *["We grow tomatoes in the garden"] * 2) is None
