"""The contract of the `DecisionMaker` port, held against every implementation."""

from __future__ import annotations

from memfold.memory.facts import Candidate, FoundFact
from tests.providers.conftest import ModelSet
from tests.providers.saying import candidate, said


async def fact_of(models: ModelSet, text: str) -> FoundFact:
    (fact,) = (await models.extractor.extract(said(text))).facts
    return fact


async def test_the_golden_update(models: ModelSet) -> None:
    coffee = await fact_of(models, "I like coffee")
    sarah = await fact_of(models, "I met Sarah from Google")
    tea = await fact_of(models, "Actually, I prefer tea now")
    (decision,) = (await models.decider.decide([candidate(tea, sarah, coffee)])).decisions
    assert (decision.op, decision.fact, decision.memory_id, decision.text) == (
        "UPDATE",
        0,
        "m1",
        "Actually, I prefer tea now",
    )


async def test_what_is_new_is_added(models: ModelSet) -> None:
    sarah = await fact_of(models, "I met Sarah from Google")
    coffee = await fact_of(models, "I like coffee")
    decisions = (await models.decider.decide([Candidate(sarah, []), candidate(coffee, sarah)])).decisions
    assert [(each.op, each.fact, each.memory_id) for each in decisions] == [
        ("ADD", 0, None),
        ("ADD", 1, None),
    ]


async def test_a_repeat_is_none(models: ModelSet) -> None:
    coffee = await fact_of(models, "I like coffee")
    again = FoundFact("Actually, I really like COFFEE!", relations=coffee.relations)
    (decision,) = (await models.decider.decide([candidate(again, coffee)])).decisions
    assert (decision.op, decision.memory_id) == ("NONE", "m0")


async def test_each_candidate_is_decided_in_order(models: ModelSet) -> None:
    coffee = await fact_of(models, "I like coffee")
    facts = [FoundFact(f"I saw film number {number}") for number in range(20)]
    decisions = (await models.decider.decide([candidate(fact, coffee) for fact in facts])).decisions
    assert [each.fact for each in decisions] == list(range(20))
    assert [each.text for each in decisions] == [fact.text for fact in facts]


async def test_no_candidates_need_no_decision(models: ModelSet) -> None:
    answer = await models.decider.decide([])
    assert answer.decisions == []
    assert answer.calls == []
