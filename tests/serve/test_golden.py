"""The golden example on a real stack: what a person sees."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from memfold import AsyncMemory, Memory
from memfold.memory.errors import CommandRejected, InvalidInput, InvalidType, UnknownMemory
from memfold.serve.settings import Settings


@pytest.fixture
def alex() -> str:
    return f"alex-{uuid.uuid4().hex[:8]}"


def triples(relations: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(r["source"], r["relationship"], r["target"]) for r in relations}


async def test_sarah_is_remembered_found_by_meaning_and_found_by_relation(
    memory: AsyncMemory, alex: str
) -> None:
    done = await memory.add("I met Sarah from Google", user_id=alex)
    assert [r["event"] for r in done["results"]] == ["ADD"]
    assert triples(done["relations"]) == {(alex, "MET", "Sarah"), ("Sarah", "WORKS_AT", "Google")}
    types = {(r["target"], r["target_type"]) for r in done["relations"]}
    assert types == {("Sarah", "PERSON"), ("Google", "COMPANY")}
    assert set(done["receipt"]) == {"command_id", "partition", "offset"}
    found = await memory.search("who works at Google?", user_id=alex, limit=5, threshold=0.1)
    assert found["results"][0]["memory"] == "I met Sarah from Google"
    assert 0.1 <= found["results"][0]["score"] <= 1
    assert ("Sarah", "WORKS_AT", "Google") in triples(found["relations"])
    found = await memory.search(
        "people who work at Google", user_id=alex, filters={"relationship": "WORKS_AT"}
    )
    assert triples(found["relations"]) == {("Sarah", "WORKS_AT", "Google")}
    assert [r["memory"] for r in found["results"]] == ["I met Sarah from Google"]


async def test_a_change_of_mind_updates_and_the_past_stays(memory: AsyncMemory, alex: str) -> None:
    first = (await memory.add("I like coffee", user_id=alex))["results"][0]
    done = await memory.add("Actually, I prefer tea now", user_id=alex)
    assert [(r["event"], r["id"], r["previous_memory"]) for r in done["results"]] == [
        ("UPDATE", first["id"], "I like coffee")
    ]
    assert {r["target"] for r in done["ended_relations"]} == {"coffee"}
    assert (await memory.get(first["id"]) or {})["memory"] == "Actually, I prefer tea now"
    history = await memory.history(first["id"])
    assert [(v["event"], v["old_memory"], v["new_memory"]) for v in history] == [
        ("ADD", None, "I like coffee"),
        ("UPDATE", "I like coffee", "Actually, I prefer tea now"),
    ]
    assert history[1]["command_id"] == done["receipt"]["command_id"]
    relations = (await memory.get_all(user_id=alex))["relations"]
    assert {r["target"] for r in relations} == {"tea"}


async def test_update_delete_and_their_history(memory: AsyncMemory, alex: str) -> None:
    one = (await memory.add("I live in Oslo", user_id=alex, infer=False, metadata={"topic": "home"}))[
        "results"
    ][0]["id"]
    await memory.update(one, "I live in Bergen")
    shown = await memory.get(one)
    assert shown is not None
    assert (shown["memory"], shown["version"], shown["metadata"]) == (
        "I live in Bergen",
        2,
        {"topic": "home"},
    )
    await memory.delete(one)
    assert await memory.get(one) is None
    assert (await memory.get_all(user_id=alex))["results"] == []
    assert [v["event"] for v in await memory.history(one)] == ["ADD", "UPDATE", "DELETE"]
    with pytest.raises(UnknownMemory):
        await memory.delete(one)


async def test_many_items_give_one_result_each_in_order(memory: AsyncMemory, alex: str) -> None:
    items = [{"messages": f"fact number {n}", "timestamp": "2026-03-03T10:00:00Z"} for n in range(250)]
    done = await memory.add_many(items, user_id=alex, infer=False)
    assert [r["results"][0]["memory"] for r in done["results"]] == [f"fact number {n}" for n in range(250)]
    assert len(done["receipts"]) == 3
    listed = await memory.get_all(user_id=alex, limit=1000)
    assert len(listed["results"]) == 250
    assert listed["results"][0]["created_at"].startswith("2026-03-03T10:00:00")


async def test_the_same_key_counts_once(memory: AsyncMemory, alex: str) -> None:
    once = await memory.add("only once", user_id=alex, infer=False, idempotency_key="k")
    again = await memory.add("only once", user_id=alex, infer=False, idempotency_key="k")
    assert once["results"] == again["results"]
    assert once["receipt"]["offset"] < again["receipt"]["offset"]
    assert len((await memory.get_all(user_id=alex))["results"]) == 1


async def test_a_receipt_comes_at_once_and_the_memory_later(memory: AsyncMemory, alex: str) -> None:
    receipt = (await memory.add("later", user_id=alex, infer=False, wait=False))["receipt"]
    done = await memory.add("after it", user_id=alex, infer=False)
    assert done["receipt"]["offset"] > receipt["offset"]
    assert [r["memory"] for r in (await memory.get_all(user_id=alex))["results"]] == ["later", "after it"]


async def test_scopes_do_not_mix(memory: AsyncMemory, alex: str) -> None:
    bob = f"bob-{alex}"
    await memory.add("alex and the assistant", user_id=alex, agent_id="assistant", infer=False)
    await memory.add("alex in run one", user_id=alex, run_id="r1", infer=False)
    await memory.add("bob and the assistant", user_id=bob, agent_id=f"assistant-{alex}", infer=False)

    async def texts(**scope: Any) -> list[str]:
        return [r["memory"] for r in (await memory.get_all(**scope))["results"]]

    assert await texts(user_id=alex) == ["alex and the assistant", "alex in run one"]
    assert await texts(user_id=alex, run_id="r1") == ["alex in run one"]
    assert await texts(agent_id=f"assistant-{alex}") == ["bob and the assistant"]
    assert await texts(user_id="nobody") == []
    found = await memory.search("assistant", user_id=alex, filters={"agent_id": "assistant"})
    assert [r["memory"] for r in found["results"]] == ["alex and the assistant"]
    await memory.delete_all(agent_id=f"assistant-{alex}")
    assert await texts(user_id=bob) == []
    await memory.delete_all(user_id=alex, run_id="r1")
    assert await texts(user_id=alex) == ["alex and the assistant"]


@pytest.mark.parametrize(
    "text",
    ["naïve café ☕", "שלום עולם", "e\u0301", "👩‍👩‍👧", "'; DROP TABLE x; --", '"} . ?s ?p ?o', "a\r\n\tb"],
)
async def test_texts_come_back_as_they_were(memory: AsyncMemory, alex: str, text: str) -> None:
    hostile = f"{alex}' OR 1=1 --"
    done = await memory.add(text, user_id=hostile, infer=False, metadata={"said": text})
    shown = await memory.get(done["results"][0]["id"])
    assert shown is not None
    assert (shown["memory"], shown["metadata"], shown["user_id"]) == (text, {"said": text}, hostile)


async def test_bad_input_writes_nothing(memory: AsyncMemory, alex: str) -> None:
    unknown = str(uuid.uuid4())
    with pytest.raises(ValueError, match="user_id, agent_id and run_id"):
        await memory.add("no scope")
    with pytest.raises(UnknownMemory, match=unknown):
        await memory.update(unknown, "x")
    with pytest.raises(InvalidInput):
        await memory.search("", user_id=alex)
    with pytest.raises(InvalidType):
        await memory.search("x", user_id=alex, filters="WORKS_AT")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"items\[1\]"):
        await memory.add_many([{"messages": "fine"}, {"message": "typo"}], user_id=alex)
    assert (await memory.get_all(user_id=alex))["results"] == []


async def test_an_update_that_lost_the_race_says_so(memory: AsyncMemory, alex: str) -> None:
    one = (await memory.add("soon gone", user_id=alex, infer=False))["results"][0]["id"]
    await memory.delete(one, wait=False)
    with pytest.raises((CommandRejected, UnknownMemory)):
        await memory.update(one, "too late")
    assert await memory.get(one) is None


def test_the_same_without_an_event_loop(stack: Settings, alex: str) -> None:
    with Memory(home=stack.home) as memory:
        done = memory.add([{"role": "user", "content": "I met Sarah from Google"}], user_id=alex)
        assert triples(done["relations"]) == {(alex, "MET", "Sarah"), ("Sarah", "WORKS_AT", "Google")}
        assert memory.search("Sarah", user_id=alex)["results"][0]["memory"] == "I met Sarah from Google"


async def test_reset_takes_everything_out_of_view_and_nothing_out_of_the_log(
    stack: Settings, alex: str
) -> None:
    async with AsyncMemory(home=stack.home, tenant=f"tenant-{alex}") as memory:
        one = (await memory.add("I met Sarah from Google", user_id=alex))["results"][0]["id"]
        await memory.reset()
        assert await memory.get_all(user_id=alex) == {"results": [], "relations": []}
        assert [v["event"] for v in await memory.history(one)] == ["ADD", "DELETE"]
        done = await memory.add("I met Sarah from Google", user_id=alex)
        assert [r["event"] for r in done["results"]] == ["ADD"]


async def test_tenants_do_not_meet(stack: Settings, memory: AsyncMemory, alex: str) -> None:
    one = (await memory.add("mine", user_id=alex, infer=False))["results"][0]["id"]
    async with AsyncMemory(home=stack.home, tenant=f"other-{alex}") as other:
        assert (await other.get_all(user_id=alex))["results"] == []
        assert await other.get(one) is None
        assert await other.history(one) == []
        with pytest.raises(UnknownMemory):
            await other.delete(one)
    assert await memory.get(one) is not None
