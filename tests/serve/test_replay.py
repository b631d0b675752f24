"""Rebuild and verify on a real stack: the same to the last byte, under writes, beside another one, without a model, without a network."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from memfold import AsyncMemory, Memory
from memfold.memory.errors import InvalidInput, RebuildRunning
from memfold.projections.generations import Generations
from memfold.projections.unfinished import unfinished
from memfold.serve.replaying import rebuild_served, standings_of_workers
from memfold.serve.settings import Settings, settings_from
from memfold.serve.verifying import verify_served
from tests.serve.checks import everything_holds, settled


async def fill(memory: AsyncMemory, user: str, count: int) -> None:
    await memory.add("I met Sarah from Google", user_id=user)
    await memory.add("I like coffee", user_id=user)
    await memory.add("Actually, I prefer tea now", user_id=user)
    await memory.add_many(
        [{"messages": f"fact {n} of {user}"} for n in range(count)], user_id=user, infer=False
    )
    await memory.delete((await memory.get_all(user_id=user))["results"][0]["id"])


def unfinished_in(settings: Settings) -> bool:
    """Whether a generation is being built."""
    each = Generations(settings.folder / "projections", "vector")
    return any(unfinished(each.path(name)) for name in each.existing())


async def test_a_rebuild_under_writes_is_served_without_a_gap(stack: Settings, memory: AsyncMemory) -> None:
    user = f"rebuilt-{uuid.uuid4().hex[:8]}"
    await fill(memory, user, 300)
    rebuilding = asyncio.create_task(
        asyncio.to_thread(rebuild_served, stack, ["vector", "graph"], "kafka", lambda built: None)
    )
    while not unfinished_in(stack):
        assert not rebuilding.done()
        await asyncio.sleep(0)
    with pytest.raises(RebuildRunning, match="since 20"):
        await asyncio.to_thread(rebuild_served, stack, ["vector"], "kafka", lambda built: None)
    seen = written = 0
    while not rebuilding.done():
        await memory.add(f"written meanwhile {written}", user_id=user, infer=False)
        written += 1
        now = len((await memory.get_all(user_id=user, limit=10_000))["results"])
        assert now == 301 + written, "a reader saw a gap"
        seen = now
    rebuilt = await rebuilding
    assert seen > 301
    assert {one.projection for one in rebuilt} == {"vector", "graph"}
    await everything_holds(stack, [])
    assert len((await memory.get_all(user_id=user, limit=10_000))["results"]) == 301 + written
    done = await memory.add("and it goes on", user_id=user, infer=False)
    assert (await memory.get(done["results"][0]["id"])) is not None


async def test_a_rebuild_asks_no_model(stack: Settings, memory: AsyncMemory) -> None:
    await fill(memory, f"offline-{uuid.uuid4().hex[:8]}", 10)
    await settled(stack)
    before = await standings_of_workers(stack)
    nowhere = {
        "llm_provider": "openai",
        "llm_base_url": "http://127.0.0.1:9/v1",
        "llm_api_key": "none",
        "llm_model": "none",
    }
    unreachable = settings_from(home=stack.home, models=nowhere)
    await asyncio.to_thread(rebuild_served, unreachable, ["vector", "graph"], "kafka", lambda built: None)
    after = await standings_of_workers(stack)
    for name in ("vector", "graph"):
        generations = Generations(stack.folder / "projections", name)
        assert len(generations.existing()) == 2, "the one that is served and the one before it"
        assert generations.existing()[-1] == generations.served()
    assert {shard: one.digest for shard, one in after.items()} == {
        shard: one.digest for shard, one in before.items()
    }


def test_unknown_projections_and_sources_are_refused(stack: Settings) -> None:
    with pytest.raises(InvalidInput, match="'vektor'; it is one of vector, graph"):
        rebuild_served(stack, ["vektor"], "kafka", lambda built: None)
    with pytest.raises(InvalidInput, match="'tape'"):
        verify_served(stack, "tape")


@pytest.mark.timeout(600)
def test_projections_come_back_from_the_archive_with_the_network_off(tmp_path: Path) -> None:
    """The stack is down, the projections are gone, there is no network at all: the archive and the key store suffice."""
    home = tmp_path / "home"
    settings = settings_from(home=home)
    with Memory(home=home) as memory:
        memory.add("I met Sarah from Google", user_id="alex")
        memory.add_many([{"messages": f"fact {n}"} for n in range(120)], user_id="alex", infer=False)
        asyncio.run(settled(settings))
        before = asyncio.run(standings_of_workers(settings))
    shutil.rmtree(home / "projections")
    without_network = ["unshare", "-n"]
    if subprocess.run([*without_network, "true"], capture_output=True).returncode != 0:
        pytest.skip(
            "this user may not make a network namespace (unshare -n), so the network cannot be taken away"
        )
    command = [
        *without_network,
        sys.executable,
        "-m",
        "memfold.serve.cli",
        "replay",
        "rebuild",
        "--from",
        "archive",
        "--digests",
    ]
    done = subprocess.run([*command, "--home", str(home), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rebuilt = {
        (one["projection"], shard["partition"]): shard["digest"]
        for one in json.loads(done.stdout)
        for shard in one["shards"]
    }
    assert rebuilt == {shard: one.digest for shard, one in before.items()}
    with Memory(home=home) as memory:
        assert len(memory.get_all(user_id="alex", limit=1_000)["results"]) == 121


def test_another_process_reads_while_this_one_writes(stack: Settings) -> None:
    user = f"shared-{uuid.uuid4().hex[:8]}"
    script = (
        "import sys\n"
        "from memfold import Memory\n"
        "with Memory(home=sys.argv[1]) as memory:\n"
        "    last = 0\n"
        "    while last < 60:\n"
        "        found = memory.search('fact', user_id=sys.argv[2], limit=100, threshold=0)['results']\n"
        "        listed = memory.get_all(user_id=sys.argv[2], limit=1000)['results']\n"
        "        assert last <= len(listed), (last, len(listed))\n"
        "        last = len(listed)\n"
        "print(last)\n"
    )
    with Memory(home=stack.home) as memory:
        memory.add("fact zero", user_id=user, infer=False)
        command = [sys.executable, "-W", "error", "-c", script, str(stack.home), user]
        reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(60):
            memory.add(f"fact {number}", user_id=user, infer=False)
        out, err = reader.communicate(timeout=60)
    assert reader.returncode == 0, err
    assert int(out) >= 60
