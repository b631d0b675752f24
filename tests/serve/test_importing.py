"""Imports over a running stack: what the real mem0ai wrote, an export into an empty stack, and kills in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memfold import AsyncMemory
from memfold.infra.stack_file import running_stack
from memfold.memory.messages import checked_time
from memfold.serve.settings import Settings
from tests.replay.test_mem0 import SAID, STORE
from tests.serve.checks import everything_holds
from tests.serve.stacks import running_in
from tests.serve.test_cli import parsed, run

MANY = 1_200
HISTORY = ("old_memory", "new_memory", "event", "created_at", "updated_at", "is_deleted", "actor_id", "role")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running_in(tmp_path_factory.mktemp("empty"), patience=90.0) as settings:
        yield settings


async def whole(memory: AsyncMemory, ids: list[str]) -> dict[str, Any]:
    """What callers see of memories: now, and in their history, without what tells of places in the log."""
    now = {one: await memory.get(one) for one in ids}
    then = {one: await memory.history(one) for one in ids}
    return {
        "now": now,
        "then": {one: [{name: row[name] for name in HISTORY} for row in then[one]] for one in ids},
    }


async def test_a_store_of_the_real_mem0_comes_in_once_with_its_past(
    stack: Settings, memory: AsyncMemory
) -> None:
    ghost, before = f"ghost-{uuid.uuid4().hex[:8]}", datetime.now(UTC)
    words = ("import", "mem0", str(STORE))
    assert "5 can be imported" in run(stack, *words, "--dry-run", status=1)
    refused = run(stack, *words, status=1)
    assert "history rows 5, 6, 7: it does not say whose it is" in refused
    done = parsed(stack, *words, "--user", ghost)
    assert (done["imported"], done["there_before"], done["refused"]) == (1, 5, [])
    again = parsed(stack, *words, "--user", ghost)
    assert (again["imported"], again["there_before"], again["refused"]) == (0, 6, [])
    for said in SAID["memories"]:
        found = await memory.get(said["id"])
        assert found is not None
        for name in ("memory", "hash", "user_id", "agent_id", "run_id", "actor_id", "role"):
            assert found.get(name) == said.get(name)
        assert found["metadata"] == (said["metadata"] or {})
        for name in ("created_at", "updated_at"):
            assert checked_time(found[name]) == checked_time(said[name])
        rows = await memory.history(said["id"])
        theirs = SAID["history"][said["id"]]
        assert [[row[name] for name in HISTORY[:3]] for row in rows] == [
            [row[name] for name in HISTORY[:3]] for row in theirs
        ]
        times = [row["updated_at"] or row["created_at"] for row in rows]
        assert times == [row["updated_at"] for row in theirs]
        assert {row["reason"] for row in rows} == {"imported from mem0"}
    found = (await memory.search("where do I live", user_id="alex"))["results"]
    assert "I live in Oslo" in {one["memory"] for one in found}
    # Learnt now, whenever it happened.
    ids = {said["id"] for said in SAID["memories"]}
    then = (await memory.get_all(user_id="alex", as_of=before))["results"]
    assert not ids & {one["id"] for one in then}
    gone = (await memory.export_memories(user_id=ghost))["results"]
    assert [version["event"] for version in gone[0]["versions"]] == ["ADD", "UPDATE", "DELETE"]


async def test_an_id_of_somebody_else_is_refused_and_stays_theirs(memory: AsyncMemory) -> None:
    mine, yours = f"me-{uuid.uuid4().hex[:8]}", f"you-{uuid.uuid4().hex[:8]}"
    added = await memory.add("I like tea", user_id=mine, infer=False)
    taken, new = added["results"][0]["id"], str(uuid.uuid4())
    lines = [
        {"id": taken, "user_id": yours, "memory": "stolen"},
        {"id": new, "user_id": yours, "memory": "I like milk"},
        {"id": new, "user_id": yours, "memory": "I like milk too"},
        {"id": taken, "user_id": mine, "memory": "I like coffee"},
    ]  # fmt: skip
    done = await memory.import_memories(lines)
    assert (done["imported"], done["there_before"]) == (1, 0)
    assert [one["place"] for one in done["refused"]] == [0, 2, 3]
    for deleted in (False, True):
        if deleted:
            await memory.delete(taken)
        done = await memory.import_memories(lines[:1])
        assert "somebody else" in done["refused"][0]["reason"]
    done = await memory.import_memories(lines[3:])
    assert (done["there_before"], [one["place"] for one in done["differing"]]) == (1, [])
    assert [one["memory"] for one in (await memory.get_all(user_id=yours))["results"]] == ["I like milk"]


@pytest.mark.timeout(300)
async def test_an_export_into_an_empty_stack_is_the_same_now_and_in_its_history(
    stack: Settings, memory: AsyncMemory, empty: Settings, tmp_path: Path
) -> None:
    alex = f"alex-{uuid.uuid4().hex[:8]}"
    await memory.add("My sister Sarah works at Google", user_id=alex, metadata={"topic": "family"})
    said = await memory.add("I live in Oslo", user_id=alex, timestamp="2024-03-03T10:00:00Z")
    await memory.update(said["results"][0]["id"], "I live in Bergen")
    gone = await memory.add("I like coffee", user_id=alex, run_id="trip", infer=False)
    await memory.delete(gone["results"][0]["id"])
    file = tmp_path / "alex.jsonl"
    run(stack, "export", "jsonl", str(file), "--user", alex)
    ids = [json.loads(line)["id"] for line in file.read_text().splitlines()]
    assert len(ids) == 3
    assert parsed(empty, "import", "jsonl", str(file))["imported"] == 3
    async with AsyncMemory(home=empty.home) as other:
        before, after = await whole(memory, ids), await whole(other, ids)
        assert after["now"] == before["now"]
        texts = [
            [[row[name] for name in HISTORY if not name.endswith("_at")] for row in rows]
            for rows in before["then"].values()
        ]
        assert texts == [
            [[row[name] for name in HISTORY if not name.endswith("_at")] for row in rows]
            for rows in after["then"].values()
        ]
        held = [await each.get_all(user_id=alex) for each in (memory, other)]
        triples = [
            {(r["source_entity"], r["relationship"], r["target_entity"]) for r in one["relations"]}
            for one in held
        ]
        assert triples[0] == triples[1] != set()
        again = (await other.export_memories(user_id=alex))["results"]
    assert again == [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_an_import_that_was_killed_with_its_worker_goes_on(empty: Settings, tmp_path: Path) -> None:
    user = f"many-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "many.jsonl"
    lines = [
        json.dumps({"id": str(uuid.uuid4()), "user_id": user, "memory": f"fact {n}"}) for n in range(MANY)
    ]
    file.write_text("\n".join([*lines[:700], "no JSON", *lines[700:]]))
    command = [
        sys.executable,
        "-m",
        "memfold.serve.cli",
        "import",
        "jsonl",
        str(file),
        "--home",
        str(empty.home),
    ]
    async with AsyncMemory(home=empty.home) as memory:
        quiet = asyncio.subprocess.DEVNULL
        importer = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
        while not (await memory.get_all(user_id=user, limit=1))["results"]:
            assert importer.returncode is None
            await asyncio.sleep(0.02)
        importer.kill()
        await importer.wait()
        running = running_stack(empty.folder)
        assert running is not None
        (worker,) = [process.pid for process in running.processes if process.role == "worker"]
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        done = await asyncio.to_thread(
            lambda: json.loads(run(empty, "import", "jsonl", str(file), "--json", status=1))
        )
        assert done["refused"] == [{"where": "line 701", "reason": done["refused"][0]["reason"]}]
        assert done["imported"] + done["there_before"] == MANY
        assert 0 < done["there_before"] < MANY
        found = (await memory.get_all(user_id=user, limit=2 * MANY))["results"]
        assert sorted(one["memory"] for one in found) == sorted(f"fact {n}" for n in range(MANY))
    await everything_holds(empty, [])
