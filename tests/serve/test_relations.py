"""What lies around an entity, on a real stack."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from memfold import AsyncMemory
from memfold.memory.errors import InvalidInput, InvalidType
from memfold.serve.settings import Settings
from tests.serve.test_cli import parsed, run


@pytest.fixture
def alex() -> str:
    return f"alex-{uuid.uuid4().hex[:8]}"


def triples(found: dict[str, Any]) -> list[tuple[int, str, str, str]]:
    return [(r["distance"], r["source"], r["relationship"], r["target"]) for r in found["relations"]]


async def test_from_a_person_to_her_employer(memory: AsyncMemory, alex: str) -> None:
    await memory.add("I met Sarah from Google", user_id=alex)
    near = await memory.relations(user_id=alex, entity=alex)
    assert triples(near) == [(1, alex, "MET", "Sarah")]
    assert near["entities"] == [alex]
    assert near["more"] is False
    far = await memory.relations(user_id=alex, entity=alex, hops=2)
    assert triples(far) == [(1, alex, "MET", "Sarah"), (2, "Sarah", "WORKS_AT", "Google")]
    every = await memory.relations(user_id=alex, relationship="WORKS_AT")
    assert triples(every) == [(0, "Sarah", "WORKS_AT", "Google")]
    assert (await memory.relations(user_id=alex, limit=1))["more"] is True
    assert await memory.relations(user_id=f"bob-{alex}", entity="Sarah") == {
        "entities": [],
        "relations": [],
        "more": False,
    }


async def test_what_ended_and_what_held_before(memory: AsyncMemory, alex: str) -> None:
    one = (await memory.add("I like coffee", user_id=alex))["results"][0]["id"]
    await memory.add("Actually, I prefer tea now", user_id=alex)
    assert [r["target"] for r in (await memory.relations(user_id=alex, entity=alex))["relations"]] == ["tea"]
    both = await memory.relations(user_id=alex, entity=alex, ended=True)
    assert [(r["target"], r["until"] is None) for r in both["relations"]] == [
        ("coffee", False),
        ("tea", True),
    ]
    changed = datetime.fromisoformat((await memory.history(one))[1]["updated_at"])
    assert both["relations"][0]["until"] == changed.isoformat()
    then = await memory.relations(user_id=alex, entity=alex, as_of=changed - timedelta(microseconds=1))
    assert [r["target"] for r in then["relations"]] == ["coffee"]


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"hops": 4}, "hops is 4"),
        ({"entity": "x", "hops": 0}, "hops is 0"),
        ({"hops": 2}, "from where"),
        ({"limit": 0}, "limit"),
        ({"entity": " "}, "entity"),
        ({"valid_at": "soon"}, "valid_at 'soon'"),
        ({"as_of": "2999-01-01"}, "still to come"),
    ],
)
async def test_what_cannot_be_asked_is_named(memory: AsyncMemory, asked: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidInput, match=wrong):
        await memory.relations(user_id="alex", **asked)
    with pytest.raises(InvalidInput, match="user_id, agent_id and run_id"):
        await memory.relations(entity="x")
    with pytest.raises(InvalidType, match="ended"):
        await memory.relations(user_id="alex", ended="yes")  # type: ignore[arg-type]


def test_on_the_command_line(stack: Settings, alex: str) -> None:
    parsed(stack, "add", "I met Sarah from Google", "--user", alex)
    found = parsed(stack, "relations", "Sarah", "--user", alex, "--hops", "2", "--relationship", "WORKS_AT")
    assert triples(found) == [(1, "Sarah", "WORKS_AT", "Google")]
    assert "Google" in run(stack, "relations", "--user", alex)
    assert "there are more" in run(stack, "relations", "--user", alex, "--limit", "1")
    assert "no relation names Tom" in run(stack, "relations", "Tom", "--user", alex)
