"""Pending messages are decided again, and nothing of them is lost on the way."""

from __future__ import annotations

import pytest

from memfold.memory.facts import Candidate, Decision, FoundFact
from memfold.schemas.records import RetryRequested, Scope
from tests.memory.rooms import ALEX, Room


@pytest.fixture
async def room() -> Room:
    """It has one memory, and one that is pending."""
    room = Room()
    await room.say("I live in Oslo")
    room.extractor.down = True
    body = await room.say("I moved to Bergen and I have a dog")
    room.extractor.down = False
    assert [(done.op, done.pending) for done in body.operations] == [("ADD", True)]
    assert body.operations[0].said_at == room.now
    return room


def pending(room: Room) -> list[str]:
    return [known.text for known in room.state.pending(Scope())]


async def test_the_first_fact_takes_the_place_and_the_others_are_added(room: Room) -> None:
    (waiting,) = room.state.pending(ALEX)
    room.extractor.facts = [FoundFact("I moved to Bergen", "personal_details"), FoundFact("I have a dog")]
    body = await room.ask(RetryRequested(ALEX))
    assert [(done.op, done.text) for done in body.operations] == [
        ("UPDATE", "I moved to Bergen"),
        ("ADD", "I have a dog"),
    ]
    assert body.operations[0].memory_id == waiting.memory_id
    assert (body.operations[0].version, body.operations[0].kind) == (2, "personal_details")
    assert pending(room) == []
    assert room.folded().memories == room.state.memories


async def test_a_fact_that_updates_another_memory_leaves_the_message_without_a_place(room: Room) -> None:
    def swap(candidates: list[Candidate]) -> list[Decision]:
        assert [similar.text for similar in candidates[0].similar] == ["I live in Oslo"]
        return [Decision("UPDATE", 0, "", candidates[0].similar[0].memory_id)]

    room.extractor.facts = [FoundFact("I moved to Bergen")]
    room.decider.script = swap  # type: ignore[assignment]
    body = await room.ask(RetryRequested(ALEX))
    assert [done.op for done in body.operations] == ["UPDATE", "DELETE"]
    assert room.texts() == ["I moved to Bergen"]


async def test_small_talk_goes(room: Room) -> None:
    room.extractor.facts = []
    body = await room.ask(RetryRequested(ALEX))
    assert [done.op for done in body.operations] == ["DELETE"]
    assert room.texts() == ["I live in Oslo"]


@pytest.mark.parametrize("broken", ["extractor", "decider", "embedder"])
async def test_a_model_that_fails_again_changes_nothing(room: Room, broken: str) -> None:
    getattr(room, broken).down = True
    body = await room.ask(RetryRequested(ALEX))
    assert (body.outcome, body.operations, body.relations) == ("degraded", [], [])
    assert pending(room) == ["I moved to Bergen and I have a dog"]


async def test_only_what_is_inside_the_scope_is_tried(room: Room) -> None:
    body = await room.ask(RetryRequested(Scope(user_id="alex", run_id="r1")))
    assert (body.outcome, body.operations) == ("decided", [])
    assert len(pending(room)) == 1


async def test_pending_said_again_is_still_one(room: Room) -> None:
    room.extractor.down = True
    body = await room.say("I moved to Bergen and I have a dog")
    assert [done.op for done in body.operations] == ["NONE"]
    assert len(pending(room)) == 1
