"""What is taken back is as if it had not been said; what rests on it stays, and wants a look. History stays."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.memory.compensation import compensation
from memfold.memory.facts import FoundRelation
from memfold.memory.review_mark import review_of
from memfold.schemas.records import (
    ClearRequested,
    DeleteRequested,
    MergeRequested,
    RetryRequested,
    RevokeRequested,
    TakenBack,
    UpdateRequested,
)
from tests.memory.rooms import ALEX
from tests.memory.taking_back import LoggedRoom, added, live, plain, seen, without

MEETS = FoundRelation("Sarah", "KNOWS", "Oslo")
LIKES = FoundRelation("Sarah", "LIKES", "tea")


@pytest.fixture
def room() -> LoggedRoom:
    return LoggedRoom()


def held(room: LoggedRoom) -> list[tuple[str, ...]]:
    return sorted(plain(one)[:3] for known in room.state.memories.values() for one in known.relations)


async def test_what_was_added_goes_and_a_second_revoke_finds_nothing(room: LoggedRoom) -> None:
    await room.tell("I met Sarah in Oslo", MEETS)
    poison = room.last()
    body = await room.revoke(poison)
    assert (body.outcome, body.reason) == ("decided", "revoked by admin: poisoned")
    assert [done.op for done in body.operations] == ["DELETE"]
    assert [change.op for change in body.relations] == ["RETRACT"]
    assert room.texts() == []
    again = await room.revoke(poison)
    assert (again.outcome, again.reason) == ("rejected", "all of it was taken back before")


async def test_an_unknown_command_changes_nothing(room: LoggedRoom) -> None:
    await room.tell("I met Sarah in Oslo", MEETS)
    body = await room.revoke("00000000-0000-4000-8000-0000000fffff")
    assert (body.outcome, room.texts()) == ("rejected", ["I met Sarah in Oslo"])


async def test_an_update_is_reverted_with_its_relations_and_reverting_again_goes_forward(
    room: LoggedRoom,
) -> None:
    memory_id = added(await room.tell("I met Sarah in Oslo", MEETS))
    await room.tell("Sarah likes tea", LIKES, op="UPDATE", memory_id=memory_id)
    before = seen(room.state)
    body = await room.revert(memory_id)
    assert room.texts() == ["I met Sarah in Oslo"]
    assert held(room) == [("Sarah", "KNOWS", "Oslo")]
    assert body.reason == "reverted: a slip"
    await room.revert(memory_id)
    assert seen(room.state) == before


async def test_a_deleted_memory_is_back_under_its_id(room: LoggedRoom) -> None:
    memory_id = added(await room.tell("I met Sarah in Oslo", MEETS))
    before = seen(room.state)
    await room.ask(DeleteRequested(memory_id))
    body = await room.revert(memory_id)
    assert [(done.op, done.version) for done in body.operations] == [("RESTORE", 3)]
    assert seen(room.state) == before


async def test_an_innocent_update_keeps_its_text_and_is_marked_until_somebody_writes_by_hand(
    room: LoggedRoom,
) -> None:
    memory_id = added(await room.tell("I met Sarah in Oslo", MEETS))
    poison = room.last()
    await room.tell("Sarah likes tea", LIKES, op="UPDATE", memory_id=memory_id)
    innocent = room.last()
    body = await room.revoke(poison)
    assert room.texts() == ["Sarah likes tea"]
    assert held(room) == [("Sarah", "LIKES", "tea")]
    assert [(one.memory_id, one.command_id) for one in body.reviews] == [(memory_id, innocent)]
    assert poison in review_of(room.state.memories[memory_id].metadata)
    await room.tell("Sarah loves tea", LIKES, op="UPDATE", memory_id=memory_id)
    assert poison in review_of(room.state.memories[memory_id].metadata)
    await room.ask(UpdateRequested(memory_id, "Sarah drinks tea"))
    assert room.state.memories[memory_id].metadata == "{}"
    assert compensation(room.events, []).steps == []


async def test_an_innocent_update_over_a_revoked_add_then_a_revoked_delete_comes_back_with_its_relation_and_a_mark(
    room: LoggedRoom,
) -> None:
    memory_id = added(await room.tell("I met Sarah in Oslo", MEETS))
    poison = room.last()
    await room.tell("Sarah likes tea", LIKES, op="UPDATE", memory_id=memory_id)
    await room.ask(DeleteRequested(memory_id))
    body = await room.revoke(poison, room.last())
    assert [done.op for done in body.operations] == ["RESTORE"]
    assert room.texts() == ["Sarah likes tea"]
    assert held(room) == [("Sarah", "LIKES", "tea")]
    assert poison in review_of(room.state.memories[memory_id].metadata)
    assert len(body.reviews) == 1


async def test_a_relation_comes_back_when_what_ended_it_is_revoked(room: LoggedRoom) -> None:
    memory_id = added(await room.tell("I met Sarah in Oslo", MEETS))
    await room.tell("Sarah left", FoundRelation("Sarah", "KNOWS", "Oslo", ends=True))
    assert held(room) == []
    body = await room.revoke(room.last())
    assert held(room) == [("Sarah", "KNOWS", "Oslo")]
    # The graph has the scope of a relation from the operation beside it.
    assert {(done.op, done.memory_id, done.scope) for done in body.operations} >= {("NONE", memory_id, ALEX)}


async def test_what_ended_before_an_innocent_rewrite_does_not_come_back_under_it(room: LoggedRoom) -> None:
    memory_id = added(await room.tell("I met Sarah in Oslo", MEETS))
    await room.tell("poison", op="UPDATE", memory_id=memory_id)
    poison = room.last()
    await room.tell("Sarah likes tea", LIKES, op="UPDATE", memory_id=memory_id)
    await room.revoke(poison)
    assert held(room) == [("Sarah", "LIKES", "tea")]


async def test_a_message_that_was_retried_goes_with_all_that_the_retry_made_of_it(room: LoggedRoom) -> None:
    room.extractor.down = True
    await room.say("poison")
    poison = room.last()
    room.extractor.down = False
    await room.say("innocent", infer=False)
    await room.ask(RetryRequested(ALEX))
    assert sorted(room.texts()) == ["innocent", "poison"]
    body = await room.revoke(poison)
    assert (room.texts(), body.reviews) == (["innocent"], [])


async def test_a_fact_that_was_only_a_repeat_of_it_is_told(room: LoggedRoom) -> None:
    await room.say("The code is 1234", infer=False)
    poison = room.last()
    await room.say("The code is 1234", infer=False)
    body = await room.revoke(poison)
    assert [(one.command_id, one.why) for one in body.reviews] == [
        (room.events[1].envelope.command_id, "judged to say nothing new beside it")
    ]


async def test_what_was_cleared_is_back_and_what_was_cleared_since_is_not(room: LoggedRoom) -> None:
    await room.tell("I met Sarah in Oslo", MEETS)
    before = seen(room.state)
    await room.ask(ClearRequested(ALEX))
    clear = room.last()
    await room.revoke(clear)
    assert seen(room.state) == before
    await room.ask(ClearRequested(ALEX))
    await room.revoke(room.events[2].envelope.command_id)
    assert room.texts() == []


async def test_a_relation_that_an_innocent_merge_moved_falls_with_its_evidence(room: LoggedRoom) -> None:
    await room.tell("I met Sarah in Oslo", MEETS)
    poison = room.last()
    await room.tell("Sara likes tea", FoundRelation("Sara", "LIKES", "tea"))
    await room.ask(MergeRequested("Sarah", "Sara"))
    body = await room.revoke(poison)
    assert held(room) == [("Sara", "LIKES", "tea")]
    assert [one.why for one in body.reviews] == ["moved a relation that rests on it"]


async def test_a_relation_that_was_brought_back_and_moved_is_another_one(room: LoggedRoom) -> None:
    memory_id = added(await room.tell("I met Sarah in Oslo", MEETS))
    await room.tell("Sarah likes tea", LIKES, op="UPDATE", memory_id=memory_id)
    await room.revert(memory_id)
    await room.tell("Sara likes tea", FoundRelation("Sara", "LIKES", "tea"))
    await room.ask(MergeRequested("Sarah", "Sara"))
    merge = room.last()
    await room.revoke(merge)
    entities = {plain(one)[3] for known in room.state.memories.values() for one in known.relations}
    assert entities == {"sarah", "sara"}


async def test_the_same_message_is_heard_anew_after_it_was_revoked(room: LoggedRoom) -> None:
    await room.tell("I met Sarah in Oslo", MEETS)
    await room.revoke(room.last())
    await room.tell("I met Sarah in Oslo", MEETS)
    assert room.texts() == ["I met Sarah in Oslo"]


async def test_a_vector_of_another_embedder_is_made_anew(room: LoggedRoom) -> None:
    memory_id = added(await room.tell("I met Sarah in Oslo", MEETS))
    await room.ask(DeleteRequested(memory_id))
    room.embedder.model = "hash-9"
    room.embedder.down = True
    body = await room.revert(memory_id)
    assert [(done.op, done.vector) for done in body.operations] == [("RESTORE", None)]
    room.embedder.down = False
    await room.revert(memory_id)
    body = await room.revert(memory_id)
    assert body.embedder == "hash-9"
    assert [len(done.vector or b"") for done in body.operations] == [16]


def touched(room: LoggedRoom, number: int) -> set[str]:
    body = room.events[number].body
    cleared = (
        {done.memory_id for event in room.events for done in event.body.operations} if body.clears else set()
    )
    return cleared | {done.memory_id for done in body.operations} | {one.memory_id for one in body.relations}


def with_all_that_rests_on(room: LoggedRoom, chosen: set[int]) -> set[str]:
    """The ids of the commands, and of every later one that touched a memory which one of them had touched."""
    tainted: set[str] = set()
    revoked: set[str] = set()
    for number, event in enumerate(room.events):
        if event.body.taken_back:
            continue
        if number in chosen or touched(room, number) & tainted:
            revoked.add(event.envelope.command_id)
            tainted |= touched(room, number)
    return revoked


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32))
def test_the_fold_is_that_of_the_history_without_the_revoked_commands(seed: int) -> None:
    async def lived() -> None:
        random, room = Random(seed), LoggedRoom()
        for _ in range(random.randint(1, 14)):
            await live(room, random, taking_back=False)
        chosen = {number for number in range(len(room.events)) if random.random() < 0.3}
        revoked = with_all_that_rests_on(room, chosen)
        order = random.sample(sorted(revoked), len(revoked))
        at = random.randint(0, len(order))
        for part in (order[:at], order[at:]):
            if part:
                assert (await room.revoke(*part)).outcome == "decided"
        assert seen(room.state) == seen(without(room.events, revoked))
        assert seen(room.folded_from_events()) == seen(room.state)

    asyncio.run(lived())


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32))
def test_the_fold_is_that_history_s_also_where_life_went_on_after_each_revoke_and_revert(seed: int) -> None:
    async def lived() -> None:
        random, room, revoked = Random(seed), LoggedRoom(), set[str]()
        for _ in range(random.randint(2, 5)):
            for _ in range(random.randint(1, 6)):
                await live(room, random, taking_back=False)
            asked = {n for n, event in enumerate(room.events) if not event.body.taken_back}
            chosen = {number for number in asked if random.random() < 0.2}
            resting = with_all_that_rests_on(room, chosen) - revoked
            targets = [TakenBack(one) for one in random.sample(sorted(resting), len(resting))]
            if not targets:
                continue
            verb = random.choice(["revoke", "revert"])
            body = await room.ask(RevokeRequested(targets, verb, "poisoned", "admin"))
            assert body.outcome == "decided"
            revoked |= resting
            assert seen(room.state) == seen(without(room.events, revoked))
        assert seen(room.folded_from_events()) == seen(room.state)

    asyncio.run(lived())


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32))
def test_whatever_was_taken_back_in_between(seed: int) -> None:
    """Nothing revoked is shown, nothing is left to undo, and to undo a take-back is to be where one was."""

    async def lived() -> None:
        random, room = Random(seed), LoggedRoom()
        for _ in range(random.randint(1, 18)):
            await live(room, random, taking_back=True)
        assert compensation(room.events, []).steps == []
        assert seen(room.folded_from_events()) == seen(room.state)
        before = seen(room.state)
        targets = [TakenBack(event.envelope.command_id) for event in room.events if random.random() < 0.4]
        body = await room.revoke(*targets)
        if body.outcome == "rejected":
            return
        assert compensation(room.events, []).steps == []
        assert (await room.revoke(*targets)).outcome == "rejected"
        took = next(event for event in reversed(room.events) if event.body.taken_back)
        assert (await room.revoke(took.envelope.command_id)).outcome == "decided"
        assert seen(room.state) == before

    asyncio.run(lived())


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32))
def test_one_by_one_or_all_at_once_is_the_same(seed: int) -> None:
    async def lived(one_by_one: bool) -> tuple[LoggedRoom, set[tuple[str, str]]]:
        random, room = Random(seed), LoggedRoom()
        for _ in range(random.randint(1, 18)):
            await live(room, random, taking_back=True)
        asked = [event.envelope.command_id for event in room.events if not event.body.taken_back]
        chosen = [command_id for command_id in asked if random.random() < 0.3]
        random.shuffle(chosen)
        before = len(room.events)
        for part in [[one] for one in chosen] if one_by_one else [chosen] * bool(chosen):
            await room.revoke(*part)
        reviews = {(r.memory_id, r.command_id) for event in room.events[before:] for r in event.body.reviews}
        return room, reviews

    (one_by_one, told), (at_once, all_told) = asyncio.run(lived(True)), asyncio.run(lived(False))
    assert seen(one_by_one.state) == seen(at_once.state)
    # On the way there more may have looked innocent than does in the end.
    assert told >= all_told
