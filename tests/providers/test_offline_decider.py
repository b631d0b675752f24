"""What becomes of the second sentence when the first ones are known."""

from __future__ import annotations

import pytest

from memfold.memory.facts import Candidate, FoundFact, FoundRelation, Similar
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.providers.repeats import repeats
from tests.providers.saying import candidate, said

UPDATES = (
    ("I like coffee", "Actually, I prefer tea now"),
    ("I prefer coffee", "Actually, I prefer tea now"),
    ("I live in Oslo", "I moved to Bergen"),
    ("I live in Oslo", "I live in Bergen now"),
    ("I live in Oslo", "I no longer live in Oslo"),
    ("I work at Google", "I no longer work at Google"),
    ("I work at Google", "I left Google for a startup"),
    ("I work at Google", "I just joined OpenAI"),
    ("My name is Jon", "Actually my name is John"),
    ("My favourite colour is blue", "My favorite color is green"),
    ("I like coffee", "I hate coffee"),
    ("I don't like coffee", "I like coffee now"),
    ("I drink coffee", "I drink tea instead of coffee"),
    ("I'm vegetarian", "I'm no longer vegetarian"),
    ("I am allergic to nuts", "I'm not allergic to nuts"),
    ("I prefer window seats", "Actually I prefer aisle seats"),
)

ADDS = (
    ("I like coffee", "I like tea"),
    ("I like coffee", "I also like tea now"),
    ("I like pizza", "Actually, I prefer tea now"),
    ("I live in Oslo", "I live in Bergen"),
    ("I work at Google", "I work at Microsoft"),
    ("I have two cats", "I have three cats"),
    ("I have a meeting with Tom on Monday", "I have a meeting with Tom on Tuesday"),
    ("Tom likes Anna", "Anna likes Tom"),
    ("Sarah lives in Oslo", "I moved to Bergen"),
    ("I'm Tom and I live in Oslo", "I moved to Bergen"),
    ("I met Sarah from Google", "Sarah left Google"),
    ("I like coffee", "I don't think I like coffee"),
)

REPEATS = (
    ("I like coffee", "i like coffee!"),
    ("I like coffee", "Actually, I really like coffee"),
    ("I'm from Norway", "I am from Norway"),
    ("I don't eat meat", "I do not eat meat"),
)


async def facts_of(*texts: str) -> list[FoundFact]:
    return (await OfflineExtractor().extract(said(*texts))).facts


async def decided(known: str, new: str, score: float = 0.6) -> tuple[str, str | None]:
    old, fact = await facts_of(known, new)
    (decision,) = (await OfflineDecider().decide([candidate(fact, old, score=score)])).decisions
    assert decision.text == fact.text
    return decision.op, decision.memory_id


@pytest.mark.parametrize(("known", "new"), UPDATES)
async def test_a_contradicted_memory_is_updated(known: str, new: str) -> None:
    assert await decided(known, new) == ("UPDATE", "m0")


@pytest.mark.parametrize(("known", "new"), ADDS)
async def test_what_may_both_be_true_is_added(known: str, new: str) -> None:
    assert await decided(known, new) == ("ADD", None)


@pytest.mark.parametrize(("known", "new"), ADDS)
async def test_a_high_cosine_alone_makes_no_repeat(known: str, new: str) -> None:
    assert await decided(known, new, score=0.99) == ("ADD", None)


@pytest.mark.parametrize(("known", "new"), REPEATS)
async def test_a_repeat_changes_nothing(known: str, new: str) -> None:
    assert await decided(known, new) == ("NONE", "m0")


async def test_the_same_words_in_another_order_repeat_if_they_tell_the_same() -> None:
    assert await decided("I met Sarah today", "Today I met Sarah", score=0.99) == ("NONE", "m0")
    assert await decided("I met Sarah today", "Today I met Sarah", score=0.9) == ("ADD", None)


def test_near_means_that_only_light_words_differ() -> None:
    memory = Similar("m0", "I have a dog at home", 0.98)
    assert repeats(candidate(FoundFact("I have the dog at home"), FoundFact(memory.text), score=0.98), memory)
    assert not repeats(
        candidate(FoundFact("I have a cat at home"), FoundFact(memory.text), score=0.98), memory
    )
    far = Similar("m0", "I have a dog at home", 0.9)
    assert not repeats(candidate(FoundFact("I have the dog at home"), FoundFact(far.text)), far)


async def test_which_of_two_is_over_is_not_guessed() -> None:
    coffee, juice, tea = await facts_of("I like coffee", "I like juice", "Actually, I prefer tea now")
    (decision,) = (await OfflineDecider().decide([candidate(tea, coffee, juice)])).decisions
    assert decision.op == "ADD"


async def test_a_stated_preference_is_replaced_before_a_liking() -> None:
    coffee, juice, tea = await facts_of("I like coffee", "I prefer juice", "Actually, I prefer tea now")
    (decision,) = (await OfflineDecider().decide([candidate(tea, coffee, juice)])).decisions
    assert (decision.op, decision.memory_id) == ("UPDATE", "m1")


async def test_a_memory_is_updated_once_in_a_call() -> None:
    coffee, tea, hate = await facts_of("I like coffee", "Actually, I prefer tea now", "I hate coffee")
    decisions = (await OfflineDecider().decide([candidate(tea, coffee), candidate(hate, coffee)])).decisions
    assert [each.op for each in decisions] == ["UPDATE", "ADD"]


async def test_an_ended_relation_of_a_memory_cannot_be_contradicted() -> None:
    ended = FoundFact("I left Google", relations=[FoundRelation("alex", "WORKS_AT", "Google", ends=True)])
    (fact,) = await facts_of("I no longer work at Google")
    (decision,) = (await OfflineDecider().decide([candidate(fact, ended)])).decisions
    assert decision.op == "ADD"


async def test_the_name_of_the_speaker_makes_no_two_sentences_alike() -> None:
    told = Similar("m0", "Jon: I keep pigeons", 0.6)
    fact = FoundFact("Jon: Now I bake bread", speaker="Jon")
    (decision,) = (await OfflineDecider().decide([Candidate(fact, [told])])).decisions
    assert decision.op == "ADD"


async def test_what_another_speaker_told_of_himself_is_not_replaced() -> None:
    fact = FoundFact("Jon: I no longer keep pigeons", speaker="Jon")
    for text, op in (("Jon: I keep pigeons", "UPDATE"), ("Ada: I keep pigeons", "ADD")):
        (decision,) = (await OfflineDecider().decide([Candidate(fact, [Similar("m0", text, 0.9)])])).decisions
        assert decision.op == op


async def test_a_correction_may_stand_in_two_sentences() -> None:
    (old,) = await facts_of("My cat is called Luna and sleeps all day")
    (new,) = await facts_of("Typo! My cat is called Lulu and sleeps all day")
    (decision,) = (await OfflineDecider().decide([candidate(new, old)])).decisions
    assert decision.op == "UPDATE"
