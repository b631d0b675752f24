"""Watching over a running stack: what is given, to whom, and that each change comes once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memfold import AsyncMemory, Memory
from memfold.memory.errors import InvalidInput, InvalidType, ReadDenied
from memfold.memory.results import Result
from memfold.memory.watch import AsyncWatch
from memfold.serve.settings import Settings
from tests.serve.read_events import read_events

pytestmark = pytest.mark.timeout(120)


def somebody(kind: str = "watched") -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


async def take(watch: AsyncWatch, count: int) -> list[Result]:
    return [await asyncio.wait_for(anext(watch), 30) for _ in range(count)]


async def until(watch: AsyncWatch, last: str) -> list[Result]:
    """Every change up to the one of the memory that says `last`."""
    given = [await asyncio.wait_for(anext(watch), 30)]
    while given[-1]["memory"] != last:
        given.append(await asyncio.wait_for(anext(watch), 30))
    return given


def told(given: list[Result]) -> list[tuple[str, str]]:
    return [(change["event"], change["memory"]) for change in given]


@pytest.fixture
async def other_tenant(stack: Settings) -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(home=stack.home, tenant="elsewhere") as memory:
        yield memory


async def test_every_change_of_a_user_comes_as_it_is_decided(memory: AsyncMemory) -> None:
    user = somebody()
    async with memory.watch(user_id=user) as watch:
        done = await memory.add(
            "tea", user_id=user, agent_id="helper", metadata={"topic": "drinks"}, infer=False
        )
        memory_id = done["results"][0]["id"]
        (added,) = await take(watch, 1)
        await memory.update(memory_id, "coffee")
        await memory.delete(memory_id)
        updated, deleted = await take(watch, 2)
    position, at = added.pop("position"), added.pop("at")
    assert position.startswith("p1.")
    assert at > "2026"
    assert added == {
        "event": "ADD",
        "id": memory_id,
        "memory": "tea",
        "version": 1,
        "metadata": {"topic": "drinks"},
        "role": "user",
        "user_id": user,
        "agent_id": "helper",
        "relations": [],
        "ended_relations": [],
        "command_id": done["receipt"]["command_id"],
    }
    assert (updated["event"], updated["memory"], updated["previous_memory"]) == ("UPDATE", "coffee", "tea")
    assert (updated["version"], updated["metadata"], updated["agent_id"]) == (
        2,
        {"topic": "drinks"},
        "helper",
    )
    assert (deleted["event"], deleted["memory"], deleted["version"]) == ("DELETE", "coffee", 3)


async def test_relations_come_with_the_memory_that_is_their_evidence(memory: AsyncMemory) -> None:
    user = somebody()
    async with memory.watch(user_id=user, filters={"relationship": "WORKS_AT"}) as watch:
        await memory.add("The weather is nice today", user_id=user, infer=False)
        await memory.add("I work at Google", user_id=user)
        await memory.add("I left Google", user_id=user)
        begun, ended = await take(watch, 2)
    assert [one["relationship"] for one in begun["relations"]] == ["WORKS_AT"]
    assert (ended["id"], ended["relations"]) == (begun["id"], [])
    assert [one["relationship"] for one in ended["ended_relations"]] == ["WORKS_AT"]


async def test_relations_that_change_alone_come_with_the_words_of_their_memory(memory: AsyncMemory) -> None:
    user = somebody()
    async with memory.watch(user_id=user) as watch:
        (one,) = (await memory.add("I met Sarah from Apple", user_id=user))["results"]
        await memory.add("I met Sarah from Google", user_id=user)
        await memory.merge_entities("Apple", "Google", user_id=user)
        *_, moved = await take(watch, 3)
    assert (moved["event"], moved["id"], moved["memory"]) == ("RELATIONS", one["id"], one["memory"])
    assert [len(moved[kind]) for kind in ("relations", "ended_relations")] == [1, 1]
    assert moved["user_id"] == user


async def test_nobody_is_given_what_is_anothers(memory: AsyncMemory, other_tenant: AsyncMemory) -> None:
    """Another user, another agent of the same user, the same names in another tenant."""
    user, other, agent = somebody(), somebody(), somebody("agent")
    async with (
        memory.watch(user_id=user) as of_user,
        memory.watch(agent_id=agent) as of_agent,
        memory.watch(user_id=user, agent_id=agent) as of_both,
        other_tenant.watch(user_id=user) as elsewhere,
    ):
        await memory.add("user's, no agent", user_id=user, infer=False)
        await memory.add("user's and agent's", user_id=user, agent_id=agent, infer=False)
        await memory.add("another's and agent's", user_id=other, agent_id=agent, infer=False)
        await memory.add("another's", user_id=other, agent_id="another", infer=False)
        await memory.add("agent's alone", agent_id=agent, infer=False)
        await other_tenant.add("elsewhere", user_id=user, agent_id=agent, infer=False)
        await memory.add("end", user_id=user, agent_id=agent, infer=False)
        await other_tenant.add("end", user_id=user, agent_id=agent, infer=False)
        found = [
            [change["memory"] for change in await until(watch, "end")]
            for watch in (of_user, of_both, elsewhere)
        ]
        assert found == [
            ["user's, no agent", "user's and agent's", "end"],
            ["user's and agent's", "end"],
            ["elsewhere", "end"],
        ]
        # Of several people there is no order between them.
        everybodys = {change["memory"] for change in await take(of_agent, 4)}
        assert everybodys == {"user's and agent's", "another's and agent's", "agent's alone", "end"}


async def test_a_filter_is_asked_of_the_memory_as_the_change_leaves_it(memory: AsyncMemory) -> None:
    user = somebody()
    async with memory.watch(user_id=user, filters={"topic": {"in": ["work", "end"]}}) as watch:
        ids = {}
        for text, topic in (("report", "work"), ("football", "home")):
            done = await memory.add(text, user_id=user, metadata={"topic": topic}, infer=False)
            ids[text] = done["results"][0]["id"]
        await memory.update(ids["football"], "football at work", metadata={"topic": "work"})
        await memory.update(ids["report"], "report at home", metadata={"topic": "home"})
        for memory_id in ids.values():
            await memory.delete(memory_id)
        await memory.add("end", user_id=user, metadata={"topic": "end"}, infer=False)
        given = told(await until(watch, "end"))
    assert given == [
        ("ADD", "report"),
        ("UPDATE", "football at work"),
        ("DELETE", "football at work"),
        ("ADD", "end"),
    ]


async def test_what_is_cleared_is_a_delete_of_each_memory_that_passes(memory: AsyncMemory) -> None:
    user, other = somebody(), somebody()
    for name in (user, other):
        for text, agent in (("one", "a"), ("two", "a"), ("three", "b")):
            await memory.add(text, user_id=name, agent_id=agent, infer=False)
    async with memory.watch(user_id=user, agent_id="a") as watch:
        await memory.delete_all(user_id=other)
        await memory.delete_all(user_id=user)
        await memory.add("end", user_id=user, agent_id="a", infer=False)
        given = await until(watch, "end")
    assert told(given) == [("DELETE", "one"), ("DELETE", "two"), ("ADD", "end")]
    assert {change.get("user_id") for change in given} == {user}


async def test_going_on_from_any_position_gives_each_change_once(
    stack: Settings, memory: AsyncMemory
) -> None:
    """Of an agent's many users, in all partitions, with events of several changes."""
    agent = somebody("agent")
    async with memory.watch(agent_id=agent) as watch:
        begin = watch.position
        for number in range(6):
            items = [{"messages": f"{number}.{part}"} for part in range(3)]
            await memory.add_many(items, user_id=somebody(), agent_id=agent, infer=False)
        whole = await take(watch, 18)
    for cut in (0, 1, 2, 3, 10, 17):
        async with AsyncMemory(home=stack.home) as again:
            since = whole[cut - 1]["position"] if cut else begin
            async with again.watch(agent_id=agent, since=since) as resumed:
                rest = await take(resumed, 18 - cut)
        both = [*whole[:cut], *rest]
        assert sorted(change["memory"] for change in both) == sorted(change["memory"] for change in whole)


async def test_since_a_moment_and_from_the_first_words_of_a_new_user(memory: AsyncMemory) -> None:
    user = somebody()
    async with memory.watch(user_id=user) as unknown:
        await memory.add("first", user_id=user, infer=False)
        (first,) = await take(unknown, 1)
        await memory.add("second", user_id=user, infer=False)
        (second,) = await take(unknown, 1)
    async with memory.watch(user_id=user, since=first["at"]) as from_first:
        assert told(await take(from_first, 2)) == [("ADD", "first"), ("ADD", "second")]
    async with memory.watch(user_id=user, since=second["at"]) as from_second:
        assert told(await take(from_second, 1)) == [("ADD", "second")]
        assert from_second.position == second["position"] or from_second.position


async def test_a_wait_that_is_given_up_loses_nothing(memory: AsyncMemory) -> None:
    user = somebody()
    async with memory.watch(user_id=user) as watch:
        given: list[Result] = []
        for number in range(10):
            adding = asyncio.create_task(memory.add(f"number {number}", user_id=user, infer=False))
            for patience in (0.001, 0.005, 0.01, 0.02):
                try:
                    given.append(await asyncio.wait_for(anext(watch), patience))
                except TimeoutError:
                    continue
            await adding
        given += await take(watch, 10 - len(given))
    assert [change["memory"] for change in given] == [f"number {number}" for number in range(10)]


def test_the_same_without_an_event_loop(stack: Settings) -> None:
    user = somebody()
    with Memory(home=stack.home) as memory:
        watch = memory.watch(user_id=user)
        memory.add("before anything is asked for", user_id=user, infer=False)
        assert next(watch)["memory"] == "before anything is asked for"
        ended = threading.Event()

        def rest() -> None:
            assert list(watch) == []
            ended.set()

        waiting = threading.Thread(target=rest)
        waiting.start()
        watch.close()
        assert ended.wait(10)
        waiting.join()
        left_open = memory.watch(user_id=user)
    with pytest.raises(StopIteration):
        next(left_open)


async def test_what_cannot_be_watched_is_refused(memory: AsyncMemory, stack: Settings) -> None:
    for wrong in (
        {},
        {"user_id": " "},
        {"user_id": "a", "since": "p1.nonsense"},
        {"user_id": "a", "since": "2100-01-01"},
    ):
        with pytest.raises(InvalidInput):
            memory.watch(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidType):
        memory.watch(user_id="a", since=object())
    async with memory.watch(user_id=somebody()) as watch:
        position = watch.position
    async with AsyncMemory(home=stack.home, audit={"purposes": ["support"]}) as restricted:
        with pytest.raises(ReadDenied):
            await restricted.watch(user_id="a", since=position).open()
        with restricted.reading(purpose="support"):
            await restricted.watch(user_id="a", since=position).open()


@pytest.mark.parametrize("mode", ["async", "strict"])
async def test_a_watch_is_a_read_when_it_is_opened_and_for_what_it_gives(stack: Settings, mode: str) -> None:
    user = somebody()
    audit: dict[str, Any] = {"reads": mode, "actor": "bot-9"}
    async with AsyncMemory(home=stack.home, audit=audit) as memory:
        ids = [
            done["results"][0]["id"]
            for number in range(3)
            for done in [await memory.add(f"number {number}", user_id=user, infer=False)]
        ]
        async with memory.watch(user_id=user, since="2020-01-01") as watch:
            await take(watch, 3)
            if mode == "strict":
                assert len(read_events(stack, "user", user)) >= 2
    reads = [
        (body.verb, body.decision, body.actor, body.count, set(e.memory_ids))
        for e, body in read_events(stack, "user", user)
    ]
    assert reads[0] == ("watch", "allowed", "bot-9", 0, set())
    assert {read[:3] for read in reads} == {("watch", "allowed", "bot-9")}
    assert set().union(*(read[4] for read in reads)) == set(ids)
    assert sum(read[3] for read in reads) == 3
    assert len(reads) <= 4


def test_the_command_line_prints_changes_and_says_where_to_go_on(stack: Settings, tmp_path: Path) -> None:
    """As a user would run it: in a process of its own, stopped by Ctrl-C, taken up again from what it printed."""
    user, out = somebody(), tmp_path / "out"
    command = [sys.executable, "-m", "memfold.serve.cli", "watch", "--json", "--since", "2020-01-01"]
    command += ["--home", str(stack.folder), "--user", user]
    with Memory(home=stack.home) as memory:
        memory.add("one", user_id=user, infer=False)
        with out.open("w") as file:
            watching = subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not out.read_text().endswith("\n"):
            assert time.monotonic() < deadline
            assert watching.poll() is None
            time.sleep(0.05)
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=30)
        assert watching.returncode == 0
        assert [json.loads(line)["memory"] for line in out.read_text().splitlines()] == ["one"]
        memory.add("two", user_id=user, infer=False)
        with memory.watch(user_id=user, since=said.strip().removeprefix("to go on: --since ")) as changes:
            assert next(changes)["memory"] == "two"
