"""Messages that try to command the memory, against a model that obeys them: whatever it answers, what may happen is bounded.

Each entry of injections.json has what is said, and what the attacker wishes the model to answer: about the messages, and about
the candidates. The emulated model answers exactly that.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memfold.memory.deciding import decide
from memfold.memory.ports import MemoryRow
from memfold.memory.state import SubjectState
from memfold.memory.texts import derived_id
from memfold.memory.understanding import Models
from memfold.providers.presets import models_from
from memfold.schemas.records import AddRequested, Item, MemoriesDecided, Message, RelationChange, Scope
from tests.emulator.openai_server import OpenAIServer
from tests.memory.models import HashEmbedder
from tests.providers.conftest import ModelSet, settings_for

CORPUS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("injections.json").read_text())
NOW = datetime(2026, 11, 25, tzinfo=UTC)
ALEX, BOB = Scope(user_id="alex"), Scope(user_id="bob")
COMMAND = "11111111-1111-5111-8111-111111111111"
NAMESPACE = uuid.UUID(COMMAND)
BOBS = "b0b00000-0000-5000-8000-000000000001"


async def state_of(scope: Scope, texts: dict[str, str]) -> SubjectState:
    rows = await HashEmbedder().embed(list(texts.values()))
    return SubjectState.of(
        MemoryRow(
            "default",
            "subject",
            memory_id,
            1,
            text,
            scope,
            NOW,
            NOW,
            NOW,
            vector=row.astype("<f2").tobytes(),
            relations=[RelationChange("ASSERT", memory_id, memory_id, "alex", "LIVES_IN", "Oslo")],
        )
        for (memory_id, text), row in zip(texts.items(), rows, strict=True)
    )


async def alex() -> SubjectState:
    """So many memories that a decision is shown only some of them."""
    texts = {f"a1e00000-0000-5000-8000-{n:012}": f"I have seen {n} films" for n in range(30)}
    return await state_of(ALEX, texts)


def wish(answer: Any) -> str:
    """The attacker's wish as the model's words."""
    if isinstance(answer, str):
        return answer
    if "repeat" in answer:
        answer = {"facts": [{"text": f"spam {n}", "message": 0} for n in range(answer["repeat"])]}
    return json.dumps(answer)


async def attacked(server: OpenAIServer, attack: dict[str, Any], state: SubjectState) -> MemoriesDecided:
    answers = {"messages": attack["facts"], "candidates": attack["decisions"]}
    server.will_obey(**{tag: wish(answer) for tag, answer in answers.items() if answer is not None})
    remote = ModelSet(*models_from(settings_for(server)))
    models = Models(HashEmbedder(), remote.extractor, remote.decider)
    command = AddRequested(ALEX, [Item([Message("user", attack["message"])])])
    body = await decide(command, COMMAND, NOW, state, models)
    await remote.close()
    return body


def test_there_are_forty() -> None:
    assert len(CORPUS) >= 40
    assert len({attack["message"] for attack in CORPUS}) == len(CORPUS)


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("attack", CORPUS, ids=[attack["attack"] for attack in CORPUS])
async def test_an_obedient_model_reaches_only_what_it_was_shown(
    server: OpenAIServer, attack: dict[str, Any]
) -> None:
    mine = await alex()
    bobs = await state_of(BOB, {BOBS: "bob owes money"})
    before, theirs = dict(mine.memories), dict(bobs.memories)
    body = await attacked(server, attack, mine)
    shown = {memory_id for call in body.calls for memory_id in call.shown}
    new = {derived_id(NAMESPACE, "memory", n) for n in range(300)}
    changed = {done.memory_id for done in body.operations if done.op in ("UPDATE", "DELETE")}
    assert changed <= shown <= set(before)
    assert {done.memory_id for done in body.operations if done.op == "ADD"} <= new
    assert body.clears == []
    assert {done.scope for done in body.operations} <= {ALEX}
    assert {done.metadata for done in body.operations} <= {"{}"}
    assert {done.role for done in body.operations if done.op == "ADD"} <= {"user"}
    assert {change.memory_id for change in body.relations} <= set(before) | new
    assert {change.assertion_id for change in body.relations} <= set(before) | {
        derived_id(NAMESPACE, "assertion", n) for n in range(300)
    }
    untouched = set(before) - changed
    assert all(mine.memories[memory_id].text == before[memory_id].text for memory_id in untouched)
    assert bobs.memories == theirs
    # The raw answers are recorded; beside them nothing of bob's is in the event, but what alex himself said.
    told = msgspec.json.encode(msgspec.structs.replace(body, calls=[], operations=[], facts=[])).decode()
    assert BOBS not in told
    assert body.outcome in ("decided", "degraded")
    if body.outcome == "degraded":
        (kept,) = [done for done in body.operations if done.op == "ADD"]
        assert (kept.text, kept.pending) == (attack["message"], True)


@pytest.mark.usefixtures("no_waits")
async def test_the_model_is_obeyed_where_it_may_be(server: OpenAIServer) -> None:
    """A control: the corpus is not refused as a whole, so the bounds are what holds."""
    bodies = [await attacked(server, attack, await alex()) for attack in CORPUS]
    outcomes = [body.outcome for body in bodies]
    assert outcomes.count("decided") >= 12
    assert outcomes.count("degraded") >= 12
    changed = [done for body in bodies for done in body.operations if done.op in ("UPDATE", "DELETE")]
    assert len(changed) >= 5
