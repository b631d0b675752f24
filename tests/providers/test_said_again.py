"""When a sentence says no more than a memory does."""

from __future__ import annotations

import pytest

from memfold.memory.facts import FoundFact, FoundRelation, Similar
from memfold.providers.repeats import tells_the_same
from memfold.providers.said_again import says_no_more


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("As I said, I only ever drink decaf", "I only drink decaf, never the real stuff"),
        ("Just a reminder that I am afraid of heights", "I'm afraid of heights"),
        ("so yeah, I keep my bike in the cellar", "I keep my bike in the cellar"),
        ("I love Ali Smith's essays", "I love the essays of Ali Smith"),
        ("My favourite cafe is Luna, thanks", "My favorite cafe is Luna"),
        ("I've got a scooter", "I have a scooter"),
    ],
)
def test_what_is_said_around_it_makes_no_difference(text: str, memory: str) -> None:
    assert says_no_more(text, memory)


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("I drink decaf", "I don't drink decaf"),
        ("I was a nurse", "I am a nurse"),
        ("I have a dog", "I have a dog allergy"),
        ("I go to Peru", "I want to go to Peru"),
        ("I have three cats", "I have two cats"),
        ("Tom told Anna", "Anna told Tom"),
        ("I moved to Oslo", "I moved from Oslo"),
        ("Yes, thanks", "I like tea"),
    ],
)
def test_another_word_that_counts_is_more(text: str, memory: str) -> None:
    assert not says_no_more(text, memory)


def test_the_same_relation_in_one_other_word_is_the_same() -> None:
    works = FoundRelation("alex", "WORKS_AT", "Ikea")
    memory = Similar("m0", "I'm employed by Ikea", 0.5, [works])
    assert tells_the_same(FoundFact("I work at Ikea", relations=[works]), "I work at Ikea", memory)
    more = "I work nights at Ikea on Mondays"
    assert not tells_the_same(FoundFact(more, relations=[works]), more, memory)
    over = FoundRelation("alex", "WORKS_AT", "Ikea", ends=True)
    assert not tells_the_same(FoundFact("I left Ikea", relations=[over]), "I left Ikea", memory)
