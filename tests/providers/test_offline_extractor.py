"""What the offline extractor keeps beside relations: sentences as they were said."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.memory.facts import FoundFact
from memfold.providers.offline_extractor import PIECE, OfflineExtractor
from tests.providers.saying import said

SMALL_TALK = (
    "Hi!",
    "Hello there",
    "Good morning!",
    "How are you?",
    "Thanks a lot!",
    "Thank you so much for your help.",
    "ok",
    "Sure, sounds good.",
    "lol",
    "Nice to meet you!",
    "I'm fine, thanks.",
    "I don't know.",
    "Yes, please.",
    "That's great!",
    "See you later!",
    "Have a nice day!",
    "You're welcome.",
    "🙂👍",
    "...",
    "What's the weather like today?",
    "Can you help me?",
    "Do I like coffee?",
    "Tell me a joke.",
    "Please summarize this article.",
)

KEPT = (
    "I was a teacher.",
    "The meeting is at 3 pm.",
    "Nobody likes coffee.",
    "Did you know I moved to Bergen?",
    "My flight leaves on Friday.",
    "Remember: the wifi password is 1234.",
    "Book a table for my birthday on May 5.",
    "i hate mondays",
)


async def kept(*texts: str) -> list[FoundFact]:
    return (await OfflineExtractor().extract(said(*texts))).facts


@pytest.mark.parametrize("text", SMALL_TALK)
async def test_small_talk_is_dropped(text: str) -> None:
    assert await kept(text) == []


@pytest.mark.parametrize("text", KEPT)
async def test_what_tells_something_is_kept_as_said(text: str) -> None:
    assert [fact.text for fact in await kept(text)] == [text]


async def test_a_message_is_cut_into_sentences() -> None:
    facts = await kept("Hi there! I met Sarah from Google. She loves hiking.\nI like tea")
    assert [fact.text for fact in facts] == ["I met Sarah from Google.", "She loves hiking.", "I like tea"]


async def test_a_sentence_twice_in_one_item_is_kept_once() -> None:
    assert len(await kept("I like tea. i like tea.")) == 1
    assert len(await kept("I like tea.", "I like tea.")) == 2


async def test_kinds_follow_the_relations() -> None:
    texts = {
        "I'm allergic to peanuts": "health",
        "I work at Google": "professional",
        "I love hiking": "activities",
        "I hate mushrooms": "preferences",
        "My sister Maria lives in Bergen": "personal_details",
        "I'm going to visit Japan next week": "plans",
        "The bus to Bergen was full of tourists": "miscellaneous",
    }
    assert [fact.kind for fact in await kept(*texts)] == list(texts.values())


async def test_a_long_message_is_read_in_pieces() -> None:
    text = "I like green tea. " * (PIECE // 5) + "I live in Oslo."
    facts = await kept(text)
    assert [fact.text for fact in facts] == ["I like green tea.", "I live in Oslo."]
    assert await kept("x" * (3 * PIECE)) == []


async def test_the_loop_turns_while_sentences_are_parsed() -> None:
    await kept("Loaded beforehand.")
    turns = 0
    parsing = asyncio.ensure_future(kept(*(f"I like tea number {number}" for number in range(100))))
    while not parsing.done():
        turns += 1
        await asyncio.sleep(0)
    assert len(parsing.result()) == 100
    assert turns > 10


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200))
def test_any_text_is_survived_and_nothing_is_rewritten(text: str) -> None:
    for fact in asyncio.run(kept(text)):
        assert fact.text.strip()
        assert fact.text in " ".join(text.split())


def test_importing_loads_no_model() -> None:
    code = "import sys, memfold.providers.offline_extractor; print('spacy' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
        == "False\n"
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I take two pills before breakfast", "health"),
        ("My flight leaves at seven", "plans"),
        ("The team meeting moved to the big office", "professional"),
        ("We hiked and climbed all weekend", "activities"),
        ("The landlord of our flat is strict", "personal_details"),
        ("The old bridge has nine arches", "miscellaneous"),
    ],
)
async def test_a_fact_without_relations_has_the_kind_of_its_words(text: str, kind: str) -> None:
    (fact,) = (await OfflineExtractor().extract(said(text))).facts
    assert (fact.kind, fact.relations) == (kind, [])


async def test_what_cannot_stand_alone_is_not_cut_off() -> None:
    said_as_one = "small correction, we land on the 10th, not the 9th."
    assert [fact.text for fact in await kept(said_as_one)] == [said_as_one]


async def test_that_something_was_wrong_is_known_of_all_that_the_message_says() -> None:
    (fact,) = await kept("Typo! My cat is called Lulu")
    assert (fact.text, fact.takes_back) == ("My cat is called Lulu", True)
    assert not (await kept("My cat is called Lulu"))[0].takes_back
