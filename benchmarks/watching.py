"""From a command that is produced to the watch that is given its change, and to the vector search that finds it, at 200 a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from benchmarks.material import sentence
from benchmarks.table import Row, percentiles
from memfold import AsyncMemory
from memfold.serve.caller import Caller
from memfold.serve.settings import Settings

A_SECOND, CHANGES, WARM, USERS = 200, 2_000, 200, 40
AGENT = "bench"
"""The watch is an agent's: it reads every partition, and opens every event."""
Written = Callable[[dict[str, Any], float], Awaitable[None]]


async def watching(settings: Settings) -> list[Row]:
    """Single `add(infer=False, wait=False)` at a steady rate; times are from before the call."""
    async with AsyncMemory(home=settings.home) as memory:
        given, from_log, appended = await _until_given(memory)
        caller = await Caller.open(settings)
        try:
            found = await _until_found(memory, caller)
        finally:
            await caller.close()
    floor = "the command acknowledged by Kafka: {:.0f} / {:.0f} ms".format(*percentiles(appended))
    return [
        _row(f"produce → watch, {A_SECOND}/s, p50 / p95", given, (30, 100), floor),
        Row("of it, event in the log → watch", "{:.0f} / {:.0f} ms".format(*percentiles(from_log))),
        _row(f"produce → visible in vector search, {A_SECOND}/s, p50 / p95", found, (60, 200), floor),
    ]


def _row(measure: str, taken: list[float], wanted: tuple[int, int], floor: str) -> Row:
    p50, p95 = percentiles(taken)
    ok = p50 <= wanted[0] and p95 <= wanted[1]
    return Row(measure, f"{p50:.0f} / {p95:.0f} ms", f"{wanted[0]} / {wanted[1]} ms", floor, ok)


async def _paced(memory: AsyncMemory, first: int, written: Written) -> list[float]:
    """Adds at the rate, each in its turn of the clock whatever became of those before; what each call took until it was acknowledged."""
    appended: list[float] = []

    async def one(number: int, due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        started = time.perf_counter()
        text, user = sentence(first + number), f"watched-{number % USERS}"
        done = await memory.add(text, user_id=user, agent_id=AGENT, infer=False, wait=False)
        appended.append(time.perf_counter() - started)
        await written(done["receipt"], started)

    begin = time.perf_counter()
    await asyncio.gather(*(one(n, begin + n / A_SECOND) for n in range(WARM + CHANGES)))
    return appended[WARM:]


async def _until_given(memory: AsyncMemory) -> tuple[list[float], list[float], list[float]]:
    """From the call to the change; from the broker's time of the event, in milliseconds, to it; from the call to its receipt."""
    seen: dict[str, tuple[float, float]] = {}
    begun: dict[str, float] = {}

    async def written(receipt: dict[str, Any], started: float) -> None:
        begun[receipt["command_id"]] = started

    async def watched() -> None:
        async with memory.watch(agent_id=AGENT) as watch:
            opened.set()
            while len(seen) < WARM + CHANGES:
                change = await anext(watch)
                behind = time.time() - datetime.fromisoformat(change["at"]).timestamp()
                seen[change["command_id"]] = time.perf_counter(), behind

    opened = asyncio.Event()
    watching = asyncio.create_task(watched())
    await opened.wait()
    appended = await _paced(memory, 2 * 10**9, written)
    await watching
    taken = [seen[command_id][0] - started for command_id, started in begun.items()]
    return taken[WARM:], [behind for _, behind in seen.values()][WARM:], appended


async def _until_found(memory: AsyncMemory, caller: Caller) -> list[float]:
    """Until the vector projection says that readers see the event; each 20th is asked for at once, and has to be there."""
    found: list[float] = []

    async def written(receipt: dict[str, Any], started: float) -> None:
        partition = receipt["partition"]
        outcome = await caller.views.outcome(partition, receipt["command_id"], 60)
        assert outcome is not None
        assert await caller.views.reach("vector", partition, outcome[0], 60)
        found.append(time.perf_counter() - started)
        if len(found) % 20 == 0:
            assert await caller.recalling.index.position(partition) >= outcome[0]

    # Other sentences: what was said before changes nothing.
    await _paced(memory, 3 * 10**9, written)
    return found[WARM:]
