"""What recording costs a search: off, async and strict in turn, a hundred questions each, in one run over one stack."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from benchmarks.material import sentence
from benchmarks.table import Row, percentiles
from memfold import AsyncMemory
from memfold.serve.settings import Settings

MEMORIES, ROUNDS, BLOCK, WANTED = 1_000, 8, 100, 1.05
MODES = ("off", "async", "strict")


async def reads(settings: Settings) -> list[Row]:
    """In blocks, so that what `async` leaves to be done behind an answer falls on its own next question, not on another's."""
    taken: dict[str, list[float]] = {mode: [] for mode in MODES}
    async with AsyncExitStack() as stack:
        clients = {
            mode: await stack.enter_async_context(AsyncMemory(home=settings.home, audit={"reads": mode}))
            for mode in MODES
        }
        items = [{"messages": sentence(number)} for number in range(MEMORIES)]
        await clients["off"].add_many(items, user_id="reader", infer=False)
        for turn in range(-3, ROUNDS * len(MODES)):
            mode = MODES[turn % len(MODES)]
            for number in range(BLOCK):
                started = time.perf_counter()
                await clients[mode].search(sentence(turn * BLOCK + number), user_id="reader")
                if turn >= 0:
                    taken[mode].append(time.perf_counter() - started)
    (off, off95), *recorded = (percentiles(taken[mode]) for mode in MODES)
    rows = []
    for mode, (p50, p95) in zip(MODES[1:], recorded, strict=True):
        judged = mode == "async"
        rows.append(
            Row(
                f"search of {MEMORIES:,} memories, reads {mode} against off, p50 / p95",
                f"{p50 / off:.3f} ({p50:.2f} / {p95:.2f} ms)",
                f"{WANTED}" if judged else "",
                f"off {off:.2f} / {off95:.2f} ms",
                p50 / off <= WANTED if judged else None,
            )
        )
    return rows
