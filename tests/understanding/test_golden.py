"""The golden dialogues are well made; and with a perfect model, all that is decided comes out exactly as it is expected."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from memfold.audit.versions import versions
from memfold.memory.prompts import KINDS
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.providers.presets import models_from
from memfold.schemas.records import Event
from tests.emulator.openai_server import OpenAIServer
from tests.providers.conftest import ModelSet, settings_for
from tests.strategies import EPOCH, history
from tests.understanding.dialogues import NOTHING_TO_KEEP, Dialogue, Triple, dialogues
from tests.understanding.perfect import PerfectModel
from tests.understanding.playing import Played, play

ALL = list(dialogues())


def test_the_set_is_as_large_and_as_mixed_as_it_is_said_to_be() -> None:
    assert len(ALL) >= 300
    assert len({dialogue.topic for dialogue in ALL}) == 12
    assert len({dialogue.id for dialogue in ALL}) == len(ALL)
    assert sum(dialogue.sort != "plain" for dialogue in ALL) >= 150
    held_out = Counter(dialogue.sort for dialogue in ALL if dialogue.held_out)
    developed = Counter(dialogue.sort for dialogue in ALL if not dialogue.held_out)
    assert sum(held_out.values()) >= 100
    assert held_out.keys() <= developed.keys()
    assert held_out.total() - held_out["plain"] >= held_out.total() / 2


@pytest.mark.parametrize("dialogue", ALL, ids=lambda dialogue: dialogue.id)
def test_a_dialogue_means_what_it_can(dialogue: Dialogue) -> None:
    known: dict[str, str] = {}
    for step in dialogue.steps:
        assert step.item.messages
        for fact in step.facts:
            assert fact.kind in KINDS
            assert fact.op in ("ADD", "UPDATE", "DELETE", "NONE")
            assert (fact.op == "ADD") == (not fact.of)
            assert not fact.of or fact.of in known
            assert fact.id not in known
            known[fact.id] = fact.text
    assert (dialogue.sort in NOTHING_TO_KEEP) == (not known)


@pytest.mark.parametrize("dialogue", ALL, ids=lambda dialogue: dialogue.id)
async def test_a_perfect_model_gives_exactly_what_is_expected(dialogue: Dialogue) -> None:
    model = PerfectModel(dialogue)
    async with OpenAIServer(answers=model) as server:
        remote = ModelSet(*models_from(settings_for(server, embedder_provider="offline")))
        state, played = SubjectState(), []
        steps = iter(dialogue.steps)
        model.step = next(steps)
        async for one in play(dialogue, Models(*remote), state):
            played.append(one)
            model.step = next(steps, model.step)
        await remote.close()
    wanted: dict[str, list[tuple[str, str]]] = {}
    holds: dict[str, frozenset[Triple]] = {}
    place: dict[str, str] = {}
    for one in played:
        assert one.body.outcome == "decided", one.body.reason
        _expect(one, wanted, holds, place)
    histories = [
        [(entry["event"], entry["new_memory"] or "") for entry in versions(_events(played), memory_id)]
        for memory_id in {done.memory_id for one in played for done in one.body.operations}
    ]
    assert sorted(histories) == sorted(wanted.values())
    assert played[-1].holds == set().union(*holds.values())
    one_entity = {entity for name in dialogue.names_of_one for entity in state.entities.find(name)}
    assert len(one_entity) == (1 if dialogue.names_of_one else 0)
    assert not dialogue.two_of_a_name or len(state.entities.find(dialogue.two_of_a_name)) == 2


def _expect(
    one: Played,
    wanted: dict[str, list[tuple[str, str]]],
    holds: dict[str, frozenset[Triple]],
    place: dict[str, str],
) -> None:
    """Check a step's decisions and relations; `wanted` histories and what `holds`, by the first fact of each memory."""
    before = set().union(*holds.values())
    due: list[tuple[str, str]] = []
    for fact in one.step.facts:
        place[fact.id] = place[fact.of] if fact.of and fact.op != "DELETE" else fact.id
        if fact.op == "NONE":
            continue
        if fact.op == "DELETE":
            gone = place[fact.of]
            due.append(("DELETE", wanted[gone][-1][1]))
            wanted[gone].append(("DELETE", ""))
            holds[gone] = frozenset()
        due.append(("ADD" if fact.op == "DELETE" else fact.op, fact.memory))
        wanted.setdefault(place[fact.id], []).append(due[-1])
        kept = holds.get(place[fact.id], frozenset()) if fact.becomes else frozenset()
        holds[place[fact.id]] = fact.triples() | kept
        for first in holds:
            holds[first] -= fact.ended
    done = [(operation.op, operation.text) for operation in one.body.operations if operation.op != "NONE"]
    assert sorted(done) == sorted(due)
    repeats = [fact for fact in one.step.facts if fact.op == "NONE"]
    assert len([o for o in one.body.operations if o.op == "NONE"]) >= len(repeats)
    after = set().union(*holds.values())
    assert one.ended() == before - after
    assert one.asserted() >= after - before


def _events(played: list[Played]) -> list[Event]:
    envelope = history(Random(1), 1)[0].envelope
    return [Event(0, number, EPOCH, envelope, one.body) for number, one in enumerate(played)]
