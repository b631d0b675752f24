"""Liking that has turned round, by the words alone."""

from __future__ import annotations

import pytest

from memfold.providers.attitudes import leaning, turned


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("I hate rowing, to be honest", "I like rowing on the lake with Ada"),
        ("what can I say, I love opera", "I can't stand opera, it is so loud"),
        ("I love audiobooks now", "I find audiobooks boring"),
        ("Ada doesn't like chess anymore", "Ada likes chess"),
    ],
)
def test_the_contrary_of_all_that_was_said_is_a_turn(text: str, memory: str) -> None:
    assert turned(text, memory)


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("I hate cold coffee", "I like coffee"),
        ("Ada hates rowing", "I like rowing"),
        ("I love rowing", "I like rowing"),
        ("I hate rowing", "I own a rowing boat"),
    ],
)
def test_another_thing_or_another_person_is_none(text: str, memory: str) -> None:
    assert not turned(text, memory)


def test_a_sentence_leans_one_way_or_neither() -> None:
    assert leaning("I love tea") == 1
    assert leaning("I can't stand tea") == -1
    assert leaning("I love tea, I hate milk") == leaning("I own a pot") == 0
