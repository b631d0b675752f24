"""The history of one memory as entries, against a world that folds the same events another way."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given, settings
from msgspec.structs import replace

from memfold.audit.versions import Entry, versions
from memfold.projections.base import Position, fenced
from memfold.schemas.records import Clear, Event, MemoriesDecided, Operation, Scope
from tests.strategies import EPOCH, OWNERS, World, histories, history

ALEX = Scope("alex")
MEMORY = "5b0c8a52-0d4e-4c43-9f0f-6f3a3f9a7b01"


def event(
    offset: int, *operations: Operation, clears: list[Clear] | None = None, like: Event | None = None
) -> Event:
    first = like or history(Random(1), 1)[0]
    envelope = replace(first.envelope, record_id=f"event {offset}", command_id=f"command {offset}")
    body = MemoriesDecided("decided", operations=list(operations), clears=clears or [])
    return Event(2, offset, EPOCH.replace(minute=offset), envelope, body)


def operation(
    op: str, version: int, text: str, previous: str | None = None, scope: Scope = ALEX
) -> Operation:
    return Operation(op, MEMORY, version, text, scope, 0, previous, "user", '{"n": 1}')


def kinds(entries: list[Entry]) -> list[tuple[str, str | None, str | None, int]]:
    return [(e["event"], e["old_memory"], e["new_memory"], e["version"]) for e in entries]


ADDED = event(1, operation("ADD", 1, "I like coffee", scope=Scope("alex", actor_id="bot")))
UPDATED = event(3, operation("UPDATE", 2, "I prefer tea", "I like coffee"))
DELETED = event(4, Operation("DELETE", MEMORY, 3, "I prefer tea", ALEX, 0, "I prefer tea"))


def test_the_whole_life_of_a_memory() -> None:
    kept = event(2, operation("NONE", 1, "I like coffee"))
    entries = versions([ADDED, kept, UPDATED, DELETED], MEMORY)
    assert kinds(entries) == [
        ("ADD", None, "I like coffee", 1),
        ("UPDATE", "I like coffee", "I prefer tea", 2),
        ("DELETE", "I prefer tea", None, 3),
    ]
    assert [entry["created_at"] for entry in entries] == ["2026-03-01T12:01:00+00:00"] * 3
    assert [entry["updated_at"] for entry in entries] == [
        None,
        "2026-03-01T12:03:00+00:00",
        "2026-03-01T12:04:00+00:00",
    ]
    assert [entry["is_deleted"] for entry in entries] == [False, False, True]
    assert [entry["actor_id"] for entry in entries] == ["bot", None, None]
    assert [(entry["role"], entry["metadata"]) for entry in entries] == [("user", {"n": 1})] * 3
    assert [(entry["partition"], entry["offset"], entry["event_id"]) for entry in entries] == [
        (2, 1, "event 1"),
        (2, 3, "event 3"),
        (2, 4, "event 4"),
    ]
    assert {entry["reason"] for entry in entries} == {None}
    assert len({entry["id"] for entry in entries}) == 3
    assert versions([ADDED, kept, UPDATED, DELETED], MEMORY) == entries


def test_only_a_clear_that_covers_the_memory_counts() -> None:
    other = replace(ADDED, envelope=replace(ADDED.envelope, subject="another"))
    beside = event(3, clears=[Clear(Scope("alex", agent_id="planner"))])
    foreign = event(3, clears=[Clear(ALEX)], like=other)
    assert kinds(versions([ADDED, beside, foreign], MEMORY)) == kinds(versions([ADDED], MEMORY))
    for clear in (
        event(3, clears=[Clear(ALEX)]),
        event(3, clears=[Clear(Scope(), whole_tenant=True)], like=other),
    ):
        entries = versions([ADDED, clear], MEMORY)
        assert kinds(entries)[1:] == [("DELETE", "I like coffee", None, 2)]
        assert (entries[1]["reason"], entries[1]["is_deleted"], entries[1]["role"]) == ("clear", True, "user")
        assert entries[1]["metadata"] == {"n": 1}


def test_what_is_gone_is_not_cleared_deleted_or_updated_again() -> None:
    clear = event(5, clears=[Clear(ALEX), Clear(Scope(), whole_tenant=True)])
    later = event(6, operation("UPDATE", 4, "I like mate", "I prefer tea"))
    assert len(versions([ADDED, UPDATED, DELETED, clear, later, DELETED], MEMORY)) == 3
    assert len(versions([ADDED, clear, clear, later], MEMORY)) == 2


def test_clears_come_before_the_operations_of_their_event() -> None:
    both = event(3, operation("ADD", 1, "back again"), clears=[Clear(ALEX)])
    assert [kind[0] for kind in kinds(versions([ADDED, both], MEMORY))] == ["ADD", "DELETE", "ADD"]


def test_a_history_whose_beginning_cannot_be_read_begins_later() -> None:
    (entry,) = versions([UPDATED], MEMORY)
    assert kinds([entry]) == [("UPDATE", "I like coffee", "I prefer tea", 2)]
    assert entry["created_at"] is None
    assert versions([DELETED], MEMORY) == []


def test_a_degraded_event_says_why() -> None:
    body = replace(ADDED.body, outcome="degraded", reason="the model did not answer")
    assert versions([replace(ADDED, body=body)], MEMORY)[0]["reason"] == "the model did not answer"


@settings(deadline=None)
@given(histories(max_events=40))
def test_the_last_entry_is_what_is_true_now(events: list[Event]) -> None:
    counted, _ = fenced(events, Position())
    world = World(Random(0), 4)
    owners = {(owner.tenant, owner.subject): owner for owner in OWNERS}
    for one in counted:
        tenant = one.envelope.tenant
        anybody = next(owner for owner in OWNERS if owner.tenant == tenant)
        world.take(owners.get((tenant, one.envelope.subject), anybody), one.body)
    touched = {done.memory_id for one in counted for done in one.body.operations}
    for memory_id in touched:
        in_tenant = [one for one in counted if memory_id in one.envelope.memory_ids or one.body.clears]
        tenants = {one.envelope.tenant for one in in_tenant if memory_id in one.envelope.memory_ids}
        entries = versions([one for one in in_tenant if one.envelope.tenant in tenants], memory_id)
        live = world.live.get(memory_id)
        assert bool(entries and not entries[-1]["is_deleted"]) == (live is not None)
        if live:
            assert (entries[-1]["new_memory"], entries[-1]["version"]) == (live[1].text, live[1].version)
        assert all(a["new_memory"] == b["old_memory"] for a, b in pairwise(entries) if b["event"] != "ADD")
