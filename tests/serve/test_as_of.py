"""What the agent knew at a moment, on a real stack."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memfold import AsyncMemory
from memfold.memory.errors import InvalidInput, InvalidType
from memfold.serve.settings import Settings
from tests.serve.test_cli import parsed


@pytest.fixture
def alex() -> str:
    return f"alex-{uuid.uuid4().hex[:8]}"


async def before(memory: AsyncMemory, memory_id: str, version: int) -> datetime:
    """The last moment at which the log did not have this version yet."""
    recorded = (await memory.history(memory_id))[version - 1]
    at = datetime.fromisoformat(recorded["updated_at"] or recorded["created_at"])
    return at - timedelta(microseconds=1)


def texts(found: dict[str, Any]) -> list[str]:
    return [result["memory"] for result in found["results"]]


def targets(found: dict[str, Any]) -> set[str]:
    return {relation["target"] for relation in found["relations"]}


async def test_a_change_of_mind_is_not_known_before_it_was_said(memory: AsyncMemory, alex: str) -> None:
    one = (await memory.add("I like coffee", user_id=alex))["results"][0]["id"]
    await memory.add("Actually, I prefer tea now", user_id=alex)
    then = await before(memory, one, 2)
    for told in (then, then.isoformat(), then.timestamp()):
        found = await memory.get_all(user_id=alex, as_of=told)
        assert (texts(found), targets(found)) == (["I like coffee"], {"coffee"})
    found = await memory.search("what do I drink", user_id=alex, threshold=None, as_of=then)
    assert (texts(found), targets(found)) == (["I like coffee"], {"coffee"})
    shown = await memory.get(one, as_of=then)
    assert shown is not None
    assert (shown["memory"], shown["version"]) == ("I like coffee", 1)
    assert targets(
        await memory.search("tea", user_id=alex, filters={"relationship": "LIKES"}, as_of=then)
    ) == {"coffee"}
    assert texts(await memory.get_all(user_id=alex, as_of=datetime.now(UTC))) == [
        "Actually, I prefer tea now"
    ]
    first = await before(memory, one, 1)
    assert await memory.get(one, as_of=first) is None
    assert await memory.get_all(user_id=alex, as_of=first) == {"results": [], "relations": []}


async def test_what_was_deleted_or_cleared_was_known_until_then(memory: AsyncMemory, alex: str) -> None:
    agent = f"agent-{alex}"
    one = (await memory.add("I met Sarah from Google", user_id=alex, agent_id=agent))["results"][0]["id"]
    await memory.delete(one)
    two = (await memory.add("I met Tom from Oslo", user_id=alex, agent_id=agent))["results"][0]["id"]
    await memory.delete_all(user_id=alex)
    scopes: list[dict[str, Any]] = [{"user_id": alex}, {"agent_id": agent}]
    for scope in scopes:
        found = await memory.get_all(**scope, as_of=await before(memory, one, 2))
        assert texts(found) == ["I met Sarah from Google"]
        assert {"Sarah", "Google"} <= targets(found)
        found = await memory.get_all(**scope, as_of=await before(memory, two, 2))
        assert texts(found) == ["I met Tom from Oslo"]
        assert "Sarah" not in targets(found)
        assert await memory.get_all(**scope) == {"results": [], "relations": []}


async def test_a_moment_that_is_none_is_refused(memory: AsyncMemory, alex: str) -> None:
    with pytest.raises(InvalidInput, match="still to come"):
        await memory.search("x", user_id=alex, as_of=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(InvalidInput, match="as_of 'last march' is no time"):
        await memory.get_all(user_id=alex, as_of="last march")
    with pytest.raises(InvalidType, match="as_of"):
        await memory.get(str(uuid.uuid4()), as_of=[2026])


def test_on_the_command_line(stack: Settings, alex: str) -> None:
    one = parsed(stack, "add", "I like coffee", "--user", alex)["results"][0]["id"]
    parsed(stack, "update", one, "I like tea")
    changed = datetime.fromisoformat(parsed(stack, "history", one)[1]["updated_at"])
    then = ("--as-of", (changed - timedelta(microseconds=1)).isoformat())
    assert texts(parsed(stack, "list", "--user", alex, *then)) == ["I like coffee"]
    assert texts(parsed(stack, "search", "coffee", "--user", alex, *then)) == ["I like coffee"]
    assert parsed(stack, "get", one, *then)["memory"] == "I like coffee"
    assert parsed(stack, "get", one)["memory"] == "I like tea"
