"""What was heard before is a repeat without any model, as long as all that it came to is still so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from memfold.memory.facts import Decision, FoundFact
from memfold.memory.ports import MemoryRow
from memfold.memory.state import SubjectState
from memfold.schemas.records import AddRequested, DeleteRequested, Item, Message, Scope, UpdateRequested
from tests.memory.rooms import ALEX, Room


@pytest.fixture
def room() -> Room:
    """Its extractor rewrites what it hears, as a chat model does: the words of a memory are not those of the message."""
    room = Room()
    room.extractor.facts = [FoundFact("Alex likes coffee"), FoundFact("Alex hates tea")]
    return room


async def test_the_same_words_again_ask_no_model(room: Room) -> None:
    await room.say("I like coffee, but tea? no way")
    asked = room.asked()
    body = await room.say("Well, I really like coffee - but tea?? No way!")
    assert room.asked() == asked
    assert [(done.op, done.text) for done in body.operations] == [
        ("NONE", "Alex likes coffee"),
        ("NONE", "Alex hates tea"),
    ]


async def test_small_talk_again_asks_no_model(room: Room) -> None:
    room.extractor.facts = []
    await room.say("Good morning!")
    asked = room.asked()
    assert (await room.say("good morning")).operations == []
    assert room.asked() == asked


async def test_a_repeat_survives_a_restart(room: Room) -> None:
    await room.say("I like coffee, but tea? no way")
    now = datetime.now(UTC)
    room.state = SubjectState.of(
        MemoryRow(
            "t", "s", one.memory_id, one.version, one.text, one.scope, now, now, now,
            vector=one.vector, said=one.said, said_count=one.said_count,
        )
        for one in room.state.memories.values()
    )  # fmt: skip
    asked = room.asked()
    body = await room.say("I like coffee, but tea? no way")
    assert [done.op for done in body.operations] == ["NONE", "NONE"]
    assert room.asked() == asked


@pytest.mark.parametrize("change", ["update", "delete", "contradict"])
async def test_what_has_changed_since_is_asked_about_again(room: Room, change: str) -> None:
    first, _ = (await room.say("I like coffee, but tea? no way")).operations
    if change == "update":
        await room.ask(UpdateRequested(first.memory_id, "Alex likes decaf"))
    elif change == "delete":
        await room.ask(DeleteRequested(first.memory_id))
    else:
        room.extractor.facts = [FoundFact("Alex is off coffee")]
        room.decider.script = lambda c: [Decision("UPDATE", 0, "Alex is off coffee", first.memory_id)]
        await room.say("I am off coffee")
        room.decider.script = None
    asked = room.asked()
    await room.say("I like coffee, but tea? no way")
    assert room.asked() > asked


async def test_tomorrow_said_on_another_day_is_another_fact(room: Room) -> None:
    room.extractor.facts = [FoundFact("I see the dentist tomorrow (2026-11-26)", when="2026-11-26")]
    await room.say("I see the dentist tomorrow")
    asked = room.asked()
    assert [done.op for done in (await room.say("I see the dentist tomorrow")).operations] == ["NONE"]
    assert room.asked() == asked
    room.now += timedelta(days=7)
    room.extractor.facts = [FoundFact("I see the dentist tomorrow (2026-12-03)", when="2026-12-03")]
    assert [done.op for done in (await room.say("I see the dentist tomorrow")).operations] == ["ADD"]


async def test_the_same_words_of_another_scope_or_speaker_are_heard_for_the_first_time(room: Room) -> None:
    await room.say("I like coffee, but tea? no way")
    for scope, name in ((Scope(user_id="alex", run_id="r2"), None), (ALEX, "Kim")):
        asked = room.asked()
        await room.say("I like coffee, but tea? no way", scope=scope, name=name)
        assert room.asked() > asked


async def test_a_repeat_inside_one_command_is_asked_about_once(room: Room) -> None:
    item = Item([Message("user", "I like coffee, but tea? no way")])
    body = await room.ask(AddRequested(ALEX, [item, replace(item, metadata='{"n":2}')]))
    assert [(done.op, done.item) for done in body.operations] == [
        ("ADD", 0),
        ("ADD", 0),
        ("NONE", 1),
        ("NONE", 1),
    ]


async def test_what_was_kept_after_a_failure_is_not_heard(room: Room) -> None:
    room.extractor.down = True
    await room.say("I like coffee, but tea? no way")
    room.extractor.down = False
    await room.say("I like coffee, but tea? no way")
    assert room.extractor.asked == 2


async def test_the_name_of_a_message_is_its_actor(room: Room) -> None:
    body = await room.say("I like coffee", name="Kim")
    assert {done.scope.actor_id for done in body.operations} == {"Kim"}
    said = await room.say("mine", infer=False, name="Kim")
    assert said.operations[0].scope.actor_id == "Kim"
