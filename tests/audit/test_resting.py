"""What rests on commands, out of the log alone: who is found by an actor's name, and what is erased stays away."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from memfold.audit.asked_commands import Asked
from memfold.audit.subject_past import FullLogPast
from memfold.memory.compensation import compensation
from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import (
    AddRequested,
    DeleteRequested,
    Fact,
    Item,
    MemoriesDecided,
    Message,
    Operation,
    Scope,
    TakenBack,
)
from tests.audit.asking import ALEX, KIM, LIFE, archive
from tests.audit.logs import KEK, ListTail, Script, log_of, written
from tests.strategies import history


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys.db", KEK)


@pytest.mark.parametrize("archived", [0, 5])
async def test_a_subjects_past_is_its_events_and_the_clears_of_its_tenant(
    keys: KeyStore, tmp_path: Path, archived: int
) -> None:
    log = log_of(LIFE, keys)
    archive(tmp_path, log[:archived])
    past = FullLogPast(tmp_path, 1, ListTail(log), keys)
    events = await past.events_of("acme", keys.subject_of("acme", "user", KIM.user_id))
    assert [event.offset for event in events] == [0, 4, 8]


async def test_what_is_erased_is_not_brought_back(keys: KeyStore, tmp_path: Path) -> None:
    life = Script()(ALEX, written("ADD", "m", 1, "coffee"))(ALEX, written("DELETE", "m", 2, "coffee")).events
    log, subject = log_of(life, keys), keys.subject_of("acme", "user", ALEX.user_id)
    archive(tmp_path, log[:1])
    past = FullLogPast(tmp_path, 1, ListTail(log), keys)
    events = await past.events_of("acme", subject)
    taken = [TakenBack(events[-1].envelope.command_id)]
    assert [step.op for step in compensation(events, taken).steps] == ["RESTORE"]
    keys.destroy(subject)
    events = await past.events_of("acme", subject)
    found = compensation(events, taken)
    assert (events, found.steps, found.unknown) == ([], [], [taken[0].command_id])


def asked(command: AddRequested | DeleteRequested) -> Asked:
    return Asked(replace(history(Random(1), 1)[0].envelope, type="add_requested"), command, 0)


def test_who_asked_is_the_actor_the_agent_or_one_who_spoke() -> None:
    spoken = [Item([Message("user", "I like tea", "kim"), Message("user", "wire it", "eve")])]
    assert asked(AddRequested(Scope("alex", agent_id="bot"), spoken)).by("bot")
    assert asked(DeleteRequested("m", "eve")).by("eve")
    both = asked(AddRequested(Scope("alex"), spoken))
    assert (both.by("eve"), both.partly_by("eve"), both.partly_by("bot")) == (False, True, False)
    body = MemoriesDecided("decided", facts=[Fact("tea", message=0), Fact("wire", message=1)])
    scope = Scope("alex", actor_id="kim")
    tea, wire = (Operation("UPDATE", "m", 2, text, scope, fact=n) for n, text in enumerate(["tea", "wire"]))
    assert (both.speaks(tea, body, "eve"), both.speaks(wire, body, "eve")) == (False, True)
    assert both.speaks(Operation("ADD", "m", 1, "as said", Scope("alex", actor_id="eve")), body, "eve")
