"""A rebuild while a paced producer writes and somebody searches all the time: no search fails, and nothing written is lost."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

import pytest

from memfold import AsyncMemory
from memfold.projections.generations import Generations
from memfold.serve.replaying import rebuild_served
from memfold.serve.settings import Settings
from tests.serve.checks import everything_holds

TICK = 0.1
MOST_LISTED = 10_000
BATCH = 100
NEEDLE = "I met Sarah from Google"


async def produced(memory: AsyncMemory, user: str, at_once: int, over: Callable[[], bool]) -> list[str]:
    """Write `at_once` memories every TICK seconds, each a command of its own, until it is over; the ids of the commands.

    Who falls behind catches up: the rate is kept on the whole.
    """
    commands: list[str] = []
    began, ticks = time.monotonic(), 0
    while not over() or not commands:
        notes = [f"note {ticks}.{n} of {user}" for n in range(at_once)]
        done = await asyncio.gather(
            *(memory.add(note, user_id=user, infer=False, wait=False) for note in notes)
        )
        commands += [one["receipt"]["command_id"] for one in done]
        ticks += 1
        await asyncio.sleep(max(0.0, began + ticks * TICK - time.monotonic()))
    print(f"{len(commands) / (time.monotonic() - began):.0f} of {at_once / TICK:.0f} commands a second")
    return commands


async def produced_in_batches(
    memory: AsyncMemory, user: str, at_once: int, over: Callable[[], bool]
) -> list[str]:
    """The same with BATCH memories in a command: `at_once` memories every TICK seconds on the whole."""
    commands: list[str] = []
    began, memories = time.monotonic(), 0
    while not over() or not commands:
        items = [{"messages": f"note {memories + n} of {user}"} for n in range(BATCH)]
        done = await memory.add_many(items, user_id=user, infer=False, wait=False)
        commands += [one["command_id"] for one in done["receipts"]]
        memories += BATCH
        await asyncio.sleep(max(0.0, began + memories / at_once * TICK - time.monotonic()))
    print(f"{memories / (time.monotonic() - began):.0f} of {at_once / TICK:.0f} memories a second")
    return commands


async def searched(memory: AsyncMemory, user: str, over: Callable[[], bool]) -> int:
    """Search until it is over, and find every time what was there before; how often."""
    times = 0
    while not over():
        found = (await memory.search(NEEDLE, user_id=user, limit=5, threshold=0))["results"]
        assert found, "a search found nothing"
        assert "Sarah" in found[0]["memory"], f"a reader saw a gap: {found}"
        times += 1
    return times


async def rebuilt_under(
    settings: Settings, memory: AsyncMemory, rate: int, before: int, in_batches: bool = False
) -> None:
    user = f"loaded-{uuid.uuid4().hex[:8]}"
    await memory.add(NEEDLE, user_id=user)
    await memory.add_many(
        [{"messages": f"fact {n} of {user}"} for n in range(before)], user_id=user, infer=False
    )
    served = [Generations(settings.folder / "projections", name).served() for name in ("vector", "graph")]
    rebuilding = asyncio.create_task(
        asyncio.to_thread(rebuild_served, settings, ["vector", "graph"], "kafka", lambda built: None)
    )
    commands, times, rebuilt = await asyncio.gather(
        (produced_in_batches if in_batches else produced)(memory, user, round(rate * TICK), rebuilding.done),
        searched(memory, user, rebuilding.done),
        rebuilding,
    )
    assert times
    assert all(one.served for one in rebuilt)
    assert all(one.generation not in served for one in rebuilt)
    await everything_holds(settings, commands)
    kept = (await memory.get_all(user_id=user, limit=MOST_LISTED))["results"]
    written = len(commands) * (BATCH if in_batches else 1)
    assert len(kept) == min(MOST_LISTED, 1 + before + written)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_searches_go_on_while_a_rebuild_runs_under_writes(stack: Settings, memory: AsyncMemory) -> None:
    await rebuilt_under(stack, memory, rate=30, before=100)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_searches_go_on_while_a_rebuild_runs_under_500_writes_a_second(
    stack: Settings, memory: AsyncMemory
) -> None:
    await rebuilt_under(stack, memory, rate=500, before=20_000)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_searches_go_on_while_a_rebuild_runs_under_500_memories_a_second_in_batches(
    stack: Settings, memory: AsyncMemory
) -> None:
    await rebuilt_under(stack, memory, rate=500, before=20_000, in_batches=True)
