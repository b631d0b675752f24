"""Taking memories in: as they are or not at all, and what is exported comes back as it was."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from memfold.audit.exported import exported
from memfold.audit.relation_fold import relation_fold
from memfold.audit.version_fold import version_fold
from memfold.audit.versions import versions
from memfold.memory.deciding import decide
from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.imported import checked_import
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.projections.base import Position, fenced
from memfold.projections.vector_fold import fold
from memfold.projections.vector_rows import Row
from memfold.schemas.records import Event, Scope
from tests.memory.models import HashEmbedder, ScriptedDecider, SentenceExtractor
from tests.memory.rooms import ALEX, Room
from tests.strategies import EPOCH, OWNERS, histories, history

ID = "5b0c8a52-0d4e-4c43-9f0f-6f3a3f9a7b01"
THEN = datetime(2024, 3, 3, 10, tzinfo=UTC)
LIFE: dict[str, Any] = {
    "id": ID,
    "user_id": "alex",
    "versions": [
        {"event": "ADD", "memory": "I work at Google", "at": "2024-03-03T10:00:00Z", "role": "user"},
        {"event": "UPDATE", "memory": "I work at Signal", "at": "2025-03-03T10:00:00Z", "metadata": {"n": 1}},
    ],
    "relations": [{"source": "alex", "relationship": "WORKS_AT", "target": "Signal", "target_type": "COMPANY"}],
}  # fmt: skip


@pytest.fixture
def room() -> Room:
    return Room()


async def test_a_life_comes_in_with_its_id_words_and_times_and_no_model_is_asked(room: Room) -> None:
    body = await room.ask(checked_import(LIFE, "mem0").command)
    assert (body.outcome, body.reason) == ("decided", "imported from mem0")
    told = [
        (done.op, done.memory_id, done.version, done.text, done.previous_text) for done in body.operations
    ]
    assert told == [
        ("ADD", ID, 1, "I work at Google", None),
        ("UPDATE", ID, 2, "I work at Signal", "I work at Google"),
    ]
    assert [done.said_at for done in body.operations] == [THEN, THEN + timedelta(days=365)]
    assert [done.vector is None for done in body.operations] == [True, False]
    assert [held.target for held in room.state.memories[ID].relations] == ["Signal"]
    assert room.asked() == 0
    assert room.folded().memories == room.state.memories


async def test_what_was_deleted_comes_in_as_history_only(room: Room) -> None:
    gone = LIFE["versions"] + [{"event": "DELETE", "memory": "I work at Signal"}]
    body = await room.ask(checked_import({**LIFE, "versions": gone}, "mem0").command)
    assert [done.op for done in body.operations] == ["ADD", "UPDATE", "DELETE"]
    assert body.relations == []
    assert room.texts() == []


async def test_an_id_that_is_taken_changes_nothing(room: Room) -> None:
    command = checked_import(LIFE, "mem0").command
    await room.ask(command)
    again = await room.ask(command)
    assert (again.outcome, again.operations) == ("rejected", [])
    assert ID in again.reason
    models = Models(room.embedder, room.extractor, room.decider)
    body = await decide(command, str(uuid.uuid4()), room.now, SubjectState(), models, "somebody else's")
    assert (body.outcome, body.reason, body.operations) == ("rejected", "somebody else's", [])


async def test_without_an_embedder_it_comes_in_without_a_vector(room: Room) -> None:
    room.embedder.down = True
    body = await room.ask(checked_import(LIFE, "mem0").command)
    assert body.outcome == "degraded"
    assert body.reason.startswith("imported from mem0; without a vector")
    assert [done.vector for done in body.operations] == [None, None]
    assert room.texts() == ["I work at Signal"]


def test_a_plain_memory_begins_with_what_it_says_and_the_same_line_has_the_same_id() -> None:
    line = {
        "memory": "I like tea",
        "user_id": 7,
        "created_at": "2024-03-03T10:00:00Z",
        "metadata": None,
        "hash": "x",
    }
    one, again = checked_import(line, "jsonl"), checked_import(dict(reversed(line.items())), "jsonl")
    assert one == again
    (version,) = one.command.versions
    assert (version.op, version.text, version.at) == ("ADD", "I like tea", THEN)
    assert one.command.scope == Scope("7")
    assert checked_import({**line, "memory": "I like coffee"}, "jsonl").key != one.key


def test_those_that_name_nobody_are_the_named_owners() -> None:
    assert checked_import({"memory": "x"}, "jsonl", Scope(agent_id="vet")).command.scope == Scope(
        agent_id="vet"
    )
    assert checked_import({"memory": "x", "run_id": "r"}, "jsonl", ALEX).command.scope == Scope(run_id="r")
    with pytest.raises(InvalidInput, match="whose it is"):
        checked_import({"memory": "x"}, "jsonl")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": "no-uuid"}, "UUID"),
        ({"memory": "x"}, "versions"),
        ({"colour": "red"}, "'colour'"),
        ({"versions": []}, "no version"),
        ({"versions": [{"event": "UPDATE", "memory": "x"}]}, "begins with UPDATE"),
        ({"versions": [{"event": "ADD", "memory": "x"}, {"event": "ADD", "memory": "y"}]}, "version 2"),
        ({"versions": [{"event": "ADD", "memory": "x"}, {"event": "DELETE", "memory": "x"}, {"event": "UPDATE", "memory": "x"}]}, "last"),
        ({"versions": [{"event": "ADD", "memory": " "}]}, "blank"),
        ({"versions": [{"event": "ADD", "memory": "x", "at": "soon"}]}, "no time"),
        ({"versions": [{"event": "ADD", "memory": "x", "role": "king"}]}, "king"),
        ({"versions": [{"event": "ADD", "memory": "x", "metadata": {"n": float("nan")}}]}, "NaN"),
        ({"versions": {"event": "ADD"}}, "list"),
        ({"relations": [{"source": "a", "relationship": "B"}]}, "target"),
        ({"relations": [{"source": "a", "relationship": "B", "target": "c", "confidence": 7}]}, "confidence"),
        ({"user_id": ".."}, "path"),
        ({"user_id": True}, "string"),
        ({"versions": [{"event": "ADD", "memory": "x" * 200_000}] + [{"event": "UPDATE", "memory": "x" * 200_000}] * 10}, "bytes"),
    ],
)  # fmt: skip
def test_what_is_no_memory_is_refused_with_the_reason(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises((InvalidInput, InvalidType), match=said):
        checked_import({**LIFE, **wrong}, "jsonl")


MODELS = Models(HashEmbedder(), SentenceExtractor(), ScriptedDecider())


def told(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The export of all, as JSON brings it back."""
    found = json.loads(json.dumps(exported(version_fold(events), relation_fold(events), Scope())))
    # No caller can say NUL, so no import takes it.
    return [one for one in found if not any("\0" in version["memory"] for version in one["versions"])]


async def imported(memories: Sequence[dict[str, Any]], first: Event) -> list[Event]:
    """The events that follow from importing them into an empty log, each user's under a subject of its own."""
    events: list[Event] = []
    states: dict[str, SubjectState] = {}
    for number, memory in enumerate(memories):
        command = checked_import(memory, "jsonl").command
        owner = str(command.scope.user_id)
        command_id = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
        state = states.setdefault(owner, SubjectState())
        body = await decide(command, command_id, first.recorded_at, state, MODELS)
        assert body.outcome == "decided"
        envelope = replace(
            first.envelope, subject=owner, command_id=command_id, record_id=command_id, memory_ids=[command.memory_id]
        )  # fmt: skip
        recorded_at = first.recorded_at + timedelta(days=400, milliseconds=number)
        events.append(Event(0, number, recorded_at, envelope, body))
    return events


def seen(rows: Sequence[Row]) -> dict[str, tuple[Any, ...]]:
    """What is current, as a caller sees it: not the places in the log, the vectors, and what was heard."""
    return {
        row.memory_id: (row.text, row.version, row.user_id, row.agent_id, row.run_id, row.actor_id, row.role, row.created_at,
                        row.updated_at, row.kind, row.pending, row.when, json.loads(row.metadata))
        for row in rows
        if row.valid_to is None
    }  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(histories(max_events=14))
def test_what_is_exported_and_imported_is_the_same_now_and_in_its_history(drawn: list[Event]) -> None:
    counted, _ = fenced(drawn, Position())
    tenant = [event for event in counted if event.envelope.tenant == OWNERS[0].tenant]
    if not tenant:
        return
    before = told(tenant)
    after = asyncio.run(imported(before, tenant[0]))
    assert sorted(told(after), key=str) == sorted(before, key=str)
    kept = {memory["id"] for memory in before}
    originals = {name: row for name, row in seen(fold(tenant, [])).items() if name in kept}
    assert seen(fold(after, [])) == originals
    for memory_id in kept:
        was, now = versions(tenant, memory_id), versions(after, memory_id)
        fields = ("event", "old_memory", "new_memory", "role", "metadata", "actor_id", "is_deleted")
        assert [[entry[name] for name in fields[1:]] for entry in now] == [
            [entry[name] for name in fields[1:]] for entry in was
        ]
        assert all(entry["reason"] == "imported from jsonl" for entry in now)


async def test_history_shows_imported_versions_with_their_own_times(room: Room) -> None:
    await room.ask(checked_import(LIFE, "mem0").command)
    (first,), like = room.bodies, history(Random(1), 1)[0]
    event = Event(0, 0, EPOCH, replace(like.envelope, memory_ids=[ID]), first)
    added, updated = versions([event], ID)
    assert (added["created_at"], added["updated_at"]) == (THEN.isoformat(), None)
    later = (THEN + timedelta(days=365)).isoformat()
    assert (updated["created_at"], updated["updated_at"]) == (THEN.isoformat(), later)
    # Learnt only now: no moment before the import tells of it.
    (version, _) = version_fold([event])
    assert version.valid_from == EPOCH
