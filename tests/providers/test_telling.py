"""How much a sentence's signs speak for a fact; and that the weights are of the signs that there are."""

from __future__ import annotations

import pytest

from memfold.providers.signs import signs
from memfold.providers.spacy_model import parser
from memfold.providers.telling import tells, weights


def test_the_signs_of_a_sentence_are_named() -> None:
    found = signs(parser()("I moved to Lima in May!")[:])
    assert {"I", "subject I", "past", "date", "name", "exclaimed"} <= found
    assert not found & {"asked", "you", "hedge", "if", "no verb"}
    assert {"asked", "you", "wh-word first", "content words: 0"} <= signs(parser()("How are you?")[:])
    assert {"polite", "interjection"} <= signs(parser()("ok, thanks")[:])


def test_who_talks_tells_nothing() -> None:
    sentence = parser()("Yes, Melanie!")[:]
    assert "name" in signs(sentence)
    assert "name" not in signs(sentence, {"melanie"})


def test_every_weight_is_of_a_sign_or_of_all() -> None:
    said = "I, my friend and you maybe live in Lima since May? Wow! What a view. It is great. Please go!"
    shown = {sign for sentence in parser()(said).sents for sign in signs(sentence)}
    assert "always" in weights()
    assert shown <= weights().keys()


@pytest.mark.parametrize("text", ["high five", "beep boop", "what a match!!", "Safe travels!", "ooh fancy"])
def test_talk_that_is_in_no_list_of_words_is_no_fact(text: str) -> None:
    assert not tells(parser()(text)[:])


@pytest.mark.parametrize(
    "text", ["I keep my bike in the cellar", "Rex is afraid of thunder", "no lactose for my son"]
)
def test_what_is_told_of_somebody_is_one(text: str) -> None:
    assert tells(parser()(text)[:])
