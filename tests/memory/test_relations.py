"""Relations from sentence to event: one vocabulary, entities by id, ends that are told, merges and splits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from memfold.memory.facts import Candidate, Decision, FoundFact, FoundRelation
from memfold.memory.vocabulary import canonical, synonyms
from memfold.schemas.records import (
    AddRequested,
    Item,
    MemoriesDecided,
    MergeRequested,
    Message,
    RelationChange,
    SplitRequested,
)
from tests.memory.rooms import ALEX, Room


@pytest.fixture
def room() -> Room:
    return Room()


async def tell(room: Room, text: str, *relations: FoundRelation) -> MemoriesDecided:
    room.extractor.facts = [FoundFact(text, relations=list(relations))]
    return await room.say(text)


def held(room: Room) -> set[tuple[str, str, str]]:
    """What holds, by the entities' ids."""
    relations = [relation for known in room.state.memories.values() for relation in known.relations]
    return {(r.source_entity, r.relationship, r.target_entity) for r in relations}


WORKS = FoundRelation("Sarah", "WORKS_AT", "Google", "PERSON", "COMPANY")


async def test_synonyms_are_one_relation_and_what_was_said_is_kept(room: Room) -> None:
    body = await tell(room, "Sarah is employed by Google", replace(WORKS, relationship="EMPLOYED_BY"))
    assert [(r.relationship, r.said_as) for r in body.relations] == [("WORKS_AT", "EMPLOYED_BY")]


async def test_the_other_way_round_is_turned(room: Room) -> None:
    await tell(room, "Google employs Sarah", FoundRelation("Google", "EMPLOYS", "Sarah", "COMPANY", "PERSON"))
    assert held(room) == {("sarah", "WORKS_AT", "google")}


async def test_a_new_name_is_allowed_as_it_is(room: Room) -> None:
    body = await tell(room, "Sarah mentors me", FoundRelation("Sarah", "MENTORS", "alex"))
    assert [(r.relationship, r.said_as) for r in body.relations] == [("MENTORS", "")]


def test_no_synonym_leads_to_a_synonym() -> None:
    folded = dict(synonyms())
    assert len(folded) > 100
    assert not set(folded) & set(folded.values())
    for name in folded:
        once = canonical(FoundRelation("a", name, "b"))
        assert canonical(once) == once


async def test_three_names_are_one_entity(room: Room) -> None:
    for name in ("Google", "Google Inc.", "google"):
        await tell(room, f"Sarah told me about {name}", replace(WORKS, target=name))
    assert held(room) == {("sarah", "WORKS_AT", "google")}
    assert room.state.entities.names("google") == ["google", "google inc."]


async def test_leaving_ends_the_relation_with_its_time(room: Room) -> None:
    await tell(room, "I work at Google", FoundRelation("alex", "WORKS_AT", "Google"))
    march = datetime(2024, 3, 1, tzinfo=UTC)
    left = FoundRelation("alex", "WORKS_AT", "Google Inc.", ends=True, at=march)
    body = await tell(room, "I left Google Inc. in March 2024", left)
    assert [(r.op, r.target, r.valid_to) for r in body.relations] == [("RETRACT", "Google", march)]
    assert held(room) == set()


async def test_what_was_not_shown_is_not_ended(room: Room) -> None:
    works = FoundRelation("alex", "WORKS_AT", "Google")
    for number in range(30):
        await tell(room, f"I work at Google, day {number}", works)
    shown: set[str] = set()

    def look(candidates: Sequence[Candidate]) -> list[Decision]:
        shown.update(similar.memory_id for similar in candidates[0].similar)
        return [Decision("ADD", 0, "")]

    room.decider.script = look
    body = await tell(room, "I left Google", replace(works, ends=True))
    assert 20 <= len(shown) <= 25
    assert {r.memory_id for r in body.relations} == shown


async def test_liking_no_more_ends_a_preference_too(room: Room) -> None:
    await tell(room, "I prefer coffee", FoundRelation("alex", "PREFERS", "coffee"))
    body = await tell(
        room, "I don't like coffee any more", FoundRelation("alex", "LIKES", "coffee", ends=True)
    )
    assert [(r.op, r.relationship) for r in body.relations] == [("RETRACT", "PREFERS")]


async def test_an_update_ends_the_old_relation_at_the_time_of_the_message(room: Room) -> None:
    await tell(room, "I prefer coffee", FoundRelation("alex", "PREFERS", "coffee"))
    room.decider.script = lambda c: [Decision("UPDATE", 0, "", c[0].similar[0].memory_id)]
    room.extractor.facts = [FoundFact("I prefer tea", relations=[FoundRelation("alex", "PREFERS", "tea")])]
    said_at = datetime(2026, 3, 3, tzinfo=UTC)
    body = await room.ask(AddRequested(ALEX, [Item([Message("user", "I prefer tea now")], said_at=said_at)]))
    assert [(r.op, r.target, r.valid_to) for r in body.relations] == [
        ("RETRACT", "coffee", said_at),
        ("ASSERT", "tea", None),
    ]


async def test_a_text_that_keeps_a_part_keeps_its_relations(room: Room) -> None:
    lives, works = FoundRelation("alex", "LIVES_IN", "Oslo"), FoundRelation("alex", "WORKS_AT", "Google")
    await tell(room, "I live in Oslo and work at Google", lives, works)
    text = "I live in Bergen and work at Google"
    room.decider.script = lambda c: [Decision("UPDATE", 0, text, c[0].similar[0].memory_id)]
    body = await tell(room, "I moved to Bergen", FoundRelation("alex", "LIVES_IN", "Bergen"))
    assert [(r.op, r.target) for r in body.relations] == [("RETRACT", "Oslo"), ("ASSERT", "Bergen")]
    assert held(room) == {("alex", "WORKS_AT", "google"), ("alex", "LIVES_IN", "bergen")}


async def test_what_is_said_again_in_an_update_goes_on(room: Room) -> None:
    await tell(room, "Sarah works at Google", WORKS)
    room.decider.script = lambda c: [Decision("UPDATE", 0, "", c[0].similar[0].memory_id)]
    body = await tell(room, "Sarah works at Google in Zurich", WORKS)
    assert body.relations == []
    assert held(room) == {("sarah", "WORKS_AT", "google")}


async def two_marias(room: Room) -> None:
    await tell(room, "my sister Maria", FoundRelation("alex", "HAS_SISTER", "Maria"))
    await tell(room, "my dentist Maria", FoundRelation("alex", "HAS_DOCTOR", "Maria", target_which="dentist"))


async def test_a_sister_and_a_dentist_of_one_name_stay_two(room: Room) -> None:
    await two_marias(room)
    await tell(
        room, "my sister Maria moved", FoundRelation("Maria", "LIVES_IN", "Oslo", source_which="sister")
    )
    assert held(room) == {
        ("alex", "HAS_SISTER", "maria"),
        ("alex", "HAS_DOCTOR", "maria#dentist"),
        ("maria", "LIVES_IN", "oslo"),
    }


async def test_a_merge_is_undone_by_a_split(room: Room) -> None:
    await tell(room, "Bob has a dog", FoundRelation("Bob", "HAS_PET", "dog"))
    await tell(room, "Robert works at Google", replace(WORKS, source="Robert"))
    before = held(room)
    body = await room.ask(MergeRequested("Bob", "Robert"))
    assert [(r.op, r.source, r.source_entity) for r in body.relations] == [
        ("RETRACT", "Bob", "bob"),
        ("ASSERT", "Bob", "robert"),
    ]
    await tell(room, "Bob lives in Oslo", FoundRelation("Bob", "LIVES_IN", "Oslo"))
    assert {source for source, _, _ in held(room)} == {"robert"}
    await room.ask(SplitRequested("Robert", "Bob"))
    assert held(room) == before | {("bob", "LIVES_IN", "oslo")}
    assert room.folded().memories == room.state.memories


async def test_what_was_taken_for_one_is_split_and_stays_two(room: Room) -> None:
    await tell(room, "Sarah works at Google", WORKS)
    await tell(room, "Tom works at Google Inc.", replace(WORKS, source="Tom", target="Google Inc."))
    await room.ask(SplitRequested("google", "Google Inc."))
    await tell(room, "Ann works at Google Inc.", replace(WORKS, source="Ann", target="Google Inc."))
    assert held(room) == {
        ("sarah", "WORKS_AT", "google"),
        ("tom", "WORKS_AT", "google#google inc."),
        ("ann", "WORKS_AT", "google#google inc."),
    }


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (MergeRequested("nobody", "alex"), "nobody"),
        (MergeRequested("Maria", "alex"), "maria#dentist"),
        (MergeRequested("maria", "maria"), "one entity already"),
        (SplitRequested("maria", "Eva"), "it goes by maria, sister"),
        (SplitRequested("maria", "Maria"), "one of these has to stay"),
    ],
)
async def test_what_is_not_clear_changes_nothing_and_says_why(
    room: Room, command: MergeRequested | SplitRequested, why: str
) -> None:
    await two_marias(room)
    before: list[RelationChange] = [r for known in room.state.memories.values() for r in known.relations]
    body = await room.ask(command)
    assert body.outcome == "rejected"
    assert why in body.reason
    assert [r for known in room.state.memories.values() for r in known.relations] == before
