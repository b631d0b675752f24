"""kill -9 in the middle of a rebuild and of its swap, on a real stack: whatever is left, all five checks hold, and the next one serves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from random import Random

import aiohttp
import pytest

from memfold import AsyncMemory
from memfold.projections.generations import Generations
from memfold.projections.proposals import Proposals
from memfold.projections.unfinished import unfinished
from memfold.serve.replaying import rebuild_served, rollback_served
from memfold.serve.settings import Settings
from memfold.serve.switches import HELD
from memfold.serve.view_address import addresses
from tests.serve.checks import everything_holds, settled
from tests.serve.stacks import running_in

PROJECTIONS = ("vector", "graph")


@pytest.fixture(scope="module")
def rebuilding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack of its own: another test's rebuild would be refused, or take up what was killed here."""
    with running_in(tmp_path_factory.mktemp("rebuilding")) as settings:
        yield settings


@pytest.fixture(scope="module")
def stack(rebuilding: Settings) -> Settings:
    return rebuilding


async def filled(memory: AsyncMemory) -> str:
    user = f"killed-{uuid.uuid4().hex[:8]}"
    await memory.add("I met Sarah from Google", user_id=user)
    await memory.add_many(
        [{"messages": f"fact {n} of {user}"} for n in range(200)], user_id=user, infer=False
    )
    return user


def generations(settings: Settings) -> list[Generations]:
    return [Generations(settings.folder / "projections", name) for name in PROJECTIONS]


def in_the_build(settings: Settings) -> bool:
    """A generation was begun."""
    marks = [unfinished(each.path(name)) for each in generations(settings) for name in each.existing()]
    return any(found is not None and not found.whole for found in marks)


def in_the_swap(settings: Settings) -> bool:
    """A generation is whole, and nobody was sent there yet, or just now."""
    marks = [unfinished(each.path(name)) for each in generations(settings) for name in each.existing()]
    return any(found is not None and found.whole for found in marks)


def killed(settings: Settings, where: str, after: float) -> None:
    """Start a rebuild and kill it so many seconds after it has come there."""
    command = [sys.executable, "-m", "memfold.serve.cli", "replay", "rebuild", "--home", str(settings.home)]
    reached = in_the_build if where == "build" else in_the_swap
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not reached(settings):
            time.sleep(0.001)
        # The moment itself is what is drawn: nothing is waited for.
        time.sleep(after)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def survives(settings: Settings, memory: AsyncMemory, where: str, after: float) -> None:
    user = await filled(memory)
    await settled(settings)
    await asyncio.to_thread(killed, settings, where, after)
    assert len((await memory.get_all(user_id=user, limit=1_000))["results"]) == 201, "a reader saw a gap"
    done = await memory.add("and it goes on", user_id=user, infer=False)
    assert await memory.get(done["results"][0]["id"]) is not None
    await settled(settings)
    await everything_holds(settings, [])
    await asyncio.to_thread(rebuild_served, settings, PROJECTIONS, "kafka", lambda built: None)
    assert len((await memory.get_all(user_id=user, limit=1_000))["results"]) == 202
    for each in generations(settings):
        assert each.served() == each.existing()[-1]
        assert len(each.existing()) <= 2, "nothing is left of what was killed"


@pytest.mark.timeout(300)
async def test_kills_in_a_build_and_in_a_swap(rebuilding: Settings, memory: AsyncMemory) -> None:
    moments = Random()
    await survives(rebuilding, memory, "build", moments.uniform(0, 0.3))
    await survives(rebuilding, memory, "swap", moments.uniform(0, 0.1))
    await everything_holds(rebuilding, [])


@pytest.mark.long
@pytest.mark.timeout(3000)
async def test_ten_kills_in_builds_and_ten_in_swaps(rebuilding: Settings, memory: AsyncMemory) -> None:
    moments = Random()
    for _ in range(10):
        await survives(rebuilding, memory, "build", moments.uniform(0, 1.5))
        await survives(rebuilding, memory, "swap", moments.uniform(0, 0.5))
    await everything_holds(rebuilding, [])


@pytest.mark.timeout(300)
async def test_who_dies_between_the_two_steps_of_a_swap_makes_no_writer_give_up(
    rebuilding: Settings, memory: AsyncMemory
) -> None:
    """Prepared and never let go: the worker stands still, and goes on where it was before a writer's patience ends; no reader notices."""
    user = await filled(memory)
    await settled(rebuilding)
    await asyncio.to_thread(rebuild_served, rebuilding, PROJECTIONS, "kafka", lambda built: None)
    served = [each.served() for each in generations(rebuilding)]
    known = (await memory.relations(user_id=user))["relations"]
    (worker,) = addresses(rebuilding.folder)
    headers = {"Authorization": f"Bearer {rebuilding.view_token()}"}
    for name, each in zip(PROJECTIONS, generations(rebuilding), strict=True):
        before = each.existing()[0]
        path = f"{worker.url}/v1/generation/{name}/{before}?proposal={Proposals(each).make(before)}"
        async with aiohttp.ClientSession(headers=headers) as session, session.put(path) as response:
            assert response.status == 200, await response.text()
    began = time.monotonic()
    assert (await memory.relations(user_id=user))["relations"] == known
    await memory.add("while it stands still", user_id=user, infer=False)
    assert time.monotonic() - began > HELD / 2, "it did not stand still, so nothing was shown"
    assert [each.served() for each in generations(rebuilding)] == served
    assert (await memory.relations(user_id=user))["relations"] == known, "of a shard that is not served"
    await everything_holds(rebuilding, [])


@pytest.mark.timeout(300)
async def test_rollback_serves_what_was_written_since(rebuilding: Settings, memory: AsyncMemory) -> None:
    user = await filled(memory)
    await settled(rebuilding)
    await asyncio.to_thread(rebuild_served, rebuilding, PROJECTIONS, "kafka", lambda built: None)
    new = [each.served() for each in generations(rebuilding)]
    await memory.add("written after the rebuild", user_id=user, infer=False)
    back = await asyncio.to_thread(rollback_served, rebuilding, PROJECTIONS)
    assert all(one.generation < generation for one, generation in zip(back, new, strict=True))
    assert len((await memory.get_all(user_id=user, limit=1_000))["results"]) == 202
    await settled(rebuilding)
    await everything_holds(rebuilding, [])
    await asyncio.to_thread(rollback_served, rebuilding, PROJECTIONS)
    assert [each.served() for each in generations(rebuilding)] == new
