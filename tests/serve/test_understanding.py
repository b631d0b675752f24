"""Who is who, why a memory says what it says, and what was heard before: on a real stack, with the offline models."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from memfold import AsyncMemory
from memfold.memory.errors import CommandRejected, UnknownMemory
from memfold.serve.settings import Settings
from tests.serve.test_cli import parsed, run


@pytest.fixture
def alex() -> str:
    return f"alex-{uuid.uuid4().hex[:8]}"


async def entities(memory: AsyncMemory, alex: str) -> set[tuple[str, str, str]]:
    relations = (await memory.get_all(user_id=alex))["relations"]
    return {(r["source_entity"], r["relationship"], r["target_entity"]) for r in relations}


async def test_two_marias_stay_two_and_a_merge_is_undone(memory: AsyncMemory, alex: str) -> None:
    await memory.add("My sister Maria lives in Oslo", user_id=alex)
    await memory.add("My dentist Maria lives in Bergen", user_id=alex)
    before = await entities(memory, alex)
    assert {entity for entity, relationship, _ in before if relationship == "LIVES_IN"} == {
        "maria",
        "maria#dentist",
    }
    with pytest.raises(CommandRejected, match="maria or maria#dentist"):
        await memory.merge_entities("Maria", alex, user_id=alex)
    done = await memory.merge_entities("maria#dentist", "maria", user_id=alex)
    assert {r["target_entity"] for r in done["relations"] if r["relationship"] == "HAS_DOCTOR"} == {"maria"}
    assert "maria#dentist" not in {end for one in await entities(memory, alex) for end in one}
    await memory.split_entity("maria", "dentist", user_id=alex)
    assert await entities(memory, alex) == before


async def test_names_of_a_company_are_one_entity_in_the_graph(memory: AsyncMemory, alex: str) -> None:
    await memory.add("Sarah works at Google", user_id=alex)
    await memory.add("Tom works at Google Inc.", user_id=alex)
    assert {target for _, _, target in await entities(memory, alex)} == {"google"}


async def test_a_relation_that_stops_holding_says_so(memory: AsyncMemory, alex: str) -> None:
    await memory.add("I work at Google", user_id=alex)
    left = await memory.add("I left Google", user_id=alex, timestamp="2026-03-03T10:00:00Z")
    (ended,) = left["ended_relations"]
    assert (ended["relationship"], ended["target"]) == ("WORKS_AT", "Google")
    assert ended["ended_at"] == "2026-03-03T10:00:00+00:00"
    assert (await memory.get_all(user_id=alex))["relations"] == []


async def test_the_same_words_again_change_nothing(memory: AsyncMemory, alex: str) -> None:
    first = await memory.add("I like coffee", user_id=alex)
    again = await memory.add("Well, I really like coffee!", user_id=alex)
    assert [(r["event"], r["id"]) for r in again["results"]] == [("NONE", first["results"][0]["id"])]


async def test_the_name_of_a_message_says_whose_memory_it_is(memory: AsyncMemory, alex: str) -> None:
    said: list[Any] = [{"role": "user", "name": "Kim", "content": "I live in Oslo"}]
    done = await memory.add(said, user_id=alex)
    assert {(r["source"], r["target"]) for r in done["relations"]} == {("Kim", "Oslo")}
    (kept,) = (await memory.get_all(user_id=alex))["results"]
    assert (kept["actor_id"], kept["kind"]) == ("Kim", "personal_details")


async def test_what_never_was_cannot_be_explained(memory: AsyncMemory) -> None:
    unknown = str(uuid.uuid4())
    with pytest.raises(UnknownMemory, match=unknown):
        await memory.explain(unknown)


def test_on_the_command_line(stack: Settings, alex: str) -> None:
    one = parsed(stack, "add", "My sister Maria lives in Oslo", "--user", alex)["results"][0]["id"]
    parsed(stack, "update", one, "My sister Maria lives in Bergen")
    shown = run(stack, "explain", one)
    assert "version 1: ADD My sister Maria lives in Oslo" in shown
    assert "-> user: My sister Maria lives in Oslo" in shown
    assert "relation  ASSERT Maria LIVES_IN Bergen" in shown
    assert [v["event"] for v in parsed(stack, "explain", one)["versions"]] == ["ADD", "UPDATE"]
    run(stack, "add", "Mary has a dog", "--user", alex)
    merged = run(stack, "entity", "merge", "Mary", "Maria", "--user", alex)
    assert "memfold.commands/" in merged
    assert json.loads(run(stack, "retry", "--user", alex, "--json"))["pending"] == 0
    assert "still pending: 0" in run(stack, "retry")
