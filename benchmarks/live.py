"""Live traffic through a whole stack: ingest until visible everywhere, and a single add until its caller sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import psutil

from benchmarks.material import sentence
from benchmarks.table import Row, percentiles, rate
from memfold import AsyncMemory
from memfold.infra.stack_file import running_stack
from memfold.providers.presets import embedder_from
from memfold.serve.running import status_now
from memfold.serve.settings import Settings

MEMORIES = 100_000
USERS = 50
SINGLES = 800
FLOOD, IN_FLIGHT = 10_000, 500
SINGLES_A_SECOND = 40


async def ingest(settings: Settings, wanted: int = 6_000) -> list[Row]:
    """Batches of 100, `infer=False`, until vector, graph and archive have all of them."""
    embedder = embedder_from(settings.models)
    texts = [sentence(n) for n in range(5_000)]
    await embedder.embed(texts[:100])
    started = time.perf_counter()
    for start in range(0, len(texts), 100):
        await embedder.embed(texts[start : start + 100])
    embedding = len(texts) / (time.perf_counter() - started)
    numbers = iter(range(10**7, 10**8))
    async with AsyncMemory(home=settings.home, patience=300) as memory:
        await memory.add("warm up", user_id="warm", infer=False)
        started = time.perf_counter()
        await asyncio.gather(*(_user(memory, f"ingest-{user}", numbers) for user in range(USERS)))
        await _everywhere(settings)
        seconds = time.perf_counter() - started
    found = MEMORIES / seconds
    return [
        Row(
            "live ingest, batches of 100, until in vector + graph + archive",
            rate(found),
            f"{wanted:,}/s",
            f"embedding alone, one core: {rate(embedding)}",
            found >= wanted,
        )
    ]


async def _user(memory: AsyncMemory, user: str, numbers: Iterator[int]) -> None:
    for _ in range(MEMORIES // USERS // 100):
        items = [{"messages": sentence(next(numbers))} for _ in range(100)]
        await memory.add_many(items, user_id=user, infer=False)


async def flood(settings: Settings) -> list[Row]:
    """Commands of one message each, as fast as they are taken, until vector, graph and archive have all; then the same in batches."""
    async with AsyncMemory(home=settings.home, patience=300) as memory:
        await memory.add("warm up", user_id="warm", infer=False)
        at_once = asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int) -> None:
            async with at_once:
                user = f"flood-{number % USERS}"
                await memory.add(sentence(4 * 10**9 + number), user_id=user, infer=False, wait=False)

        started = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(FLOOD)))
        appended = FLOOD / (time.perf_counter() - started)
        await _everywhere(settings)
        found = FLOOD / (time.perf_counter() - started)
    measure = "live ingest, one message a command, a process of each kind, until everywhere"
    row = Row(measure, rate(found), "1,500/s", f"acknowledged by Kafka: {rate(appended)}", found >= 1_500)
    return [row, *await ingest(settings, 10_000)]


async def _everywhere(settings: Settings) -> None:
    while any(role["lag"] for role in (await status_now(settings))["roles"]):  # noqa: ASYNC110 - in another process
        await asyncio.sleep(0.05)


async def single(settings: Settings) -> list[Row]:
    """One `add(infer=False)` at a time, 40 a second, until the caller sees it."""
    taken: list[float] = []
    async with AsyncMemory(home=settings.home, patience=60) as memory:
        for number in range(40):
            await memory.add(sentence(-number), user_id=f"single-{number}", infer=False)

        async def one(number: int, due: float) -> None:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            started = time.perf_counter()
            await memory.add(sentence(10**9 + number), user_id=f"single-{number % 40}", infer=False)
            taken.append(time.perf_counter() - started)

        begin = time.perf_counter()
        await asyncio.gather(*(one(number, begin + number / SINGLES_A_SECOND) for number in range(SINGLES)))
    p50, p95 = percentiles(taken)
    return [
        Row(
            "single add until seen, 40/s, p50 / p95",
            f"{p50:.0f} / {p95:.0f} ms",
            "50 / 120 ms",
            "",
            p50 <= 50 and p95 <= 120,
        )
    ]


async def idle(settings: Settings) -> list[Row]:
    """Resident memory of every process of the stack, two seconds after the last write."""
    await asyncio.sleep(2)
    stack = running_stack(settings.folder)
    assert stack is not None
    sizes = {p.role: psutil.Process(p.pid).memory_info().rss / 1e6 for p in stack.processes if p.pid}
    sizes["supervisor"] = psutil.Process(stack.supervisor.pid).memory_info().rss / 1e6
    total = sum(sizes.values())
    each = ", ".join(f"{role} {size:.0f}" for role, size in sizes.items())
    ok = total <= 1_500 and sizes["broker"] <= 512
    return [Row("memory of the idle stack", f"{total:.0f} MB ({each})", "1,500 MB, broker 512 MB", "", ok)]
