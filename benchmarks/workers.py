"""Two worker processes against one, with a model that takes its time, and how long a partition stands when a worker dies and joins.

What a worker gets done is bounded by the calls that it may have on their way (`calls_at_once`), as a service's limit of requests would
have it set; another worker brings as many more. Where nothing bounds it, one worker keeps all subjects going at once and a second
has nothing to add but its processor: that row stands beside.

`python -m benchmarks.workers`; the endpoint is emulated in a process of its own, on the same cores as all else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.material import sentence
from benchmarks.table import Row, rate
from memfold import AsyncMemory
from memfold.infra.stack_file import running_stack
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.settings import Settings, settings_from
from tests.emulator.process import EmulatorProcess
from tests.serve.owning import shared

SUBJECTS, LATENCY, AT_ONCE, UNBOUND = 64, 0.2, 8, 1_000
LASTS = 40.0
"""Seconds in which every subject adds one thing after the other; all of them wait for the same calls, so a round takes some seconds."""
WATCHED = 25.0
"""Seconds of adds around a kill: the session time-out and the restart are within."""
USERS = 12
WANTED, WANTED_STALL = 1.9, 10.0


def workers(folder: Path) -> list[Row]:
    with EmulatorProcess() as emulator:
        emulator.order(latency=LATENCY)
        models = emulator.models(5.0)
        bound, stall = _rates(folder / "bound", models | {"calls_at_once": AT_ONCE})
        unbound, _ = _rates(folder / "unbound", models | {"calls_at_once": UNBOUND})
    ratio = bound[1] / bound[0]
    return [
        Row(
            f"2 worker processes against 1, model latency 200 ms, {AT_ONCE} calls at once in each",
            f"{ratio:.2f}x",
            "1.9x",
            _beside(bound),
            ratio >= WANTED,
        ),
        Row("the same, nothing bounds the calls", f"{unbound[1] / unbound[0]:.2f}x", "", _beside(unbound)),
        Row(
            "longest add while a worker is killed and joins again",
            f"{stall:.1f} s",
            "10 s",
            "",
            stall <= WANTED_STALL,
        ),
    ]


def _rates(folder: Path, models: dict[str, Any]) -> tuple[list[float], float]:
    """Adds a second with one worker and with two, and the longest stall with two."""
    rates: list[float] = []
    for count in (1, 2):
        settings = settings_from(home=folder / f"workers-{count}", models=models, patience=120)
        stack = EmbeddedStack.start(settings, workers=count)
        try:
            rates.append(asyncio.run(_adds_a_second(settings, count)))
            stall = asyncio.run(_longest_stall(settings)) if count == 2 else 0.0
        finally:
            stack.stop()
    return rates, stall


def _beside(rates: list[float]) -> str:
    return f"{rate(rates[1])} against {rate(rates[0])}, {SUBJECTS} subjects"


async def _adds_a_second(settings: Settings, workers: int) -> float:
    async with AsyncMemory(home=settings.home, patience=120) as memory:
        done = 0

        async def one(subject: int, end: float) -> None:
            nonlocal done
            number = 1
            while time.monotonic() < end:
                await memory.add(sentence(subject * 1_000 + number), user_id=f"user-{subject}")
                number += 1
                done += time.monotonic() < end

        # A subject's first facts need no second question.
        firsts = (memory.add(sentence(one * 1_000), user_id=f"user-{one}") for one in range(SUBJECTS))
        await asyncio.gather(*firsts)
        # A worker that joins has its partitions some seconds later, and they stand meanwhile.
        await shared(settings, workers)
        await asyncio.gather(*(one(subject, time.monotonic() + LASTS) for subject in range(SUBJECTS)))
        return done / LASTS


async def _longest_stall(settings: Settings) -> float:
    """Users in all partitions, each adding one thing after the other; the longest that any had to wait."""
    longest, end = 0.0, time.monotonic() + WATCHED
    async with AsyncMemory(home=settings.home, patience=60) as memory:

        async def one(user: int) -> None:
            nonlocal longest
            number = 0
            while (began := time.monotonic()) < end:
                await memory.add(f"fact {number}", user_id=f"stalled-{user}", infer=False)
                longest, number = max(longest, time.monotonic() - began), number + 1

        async def killed() -> None:
            await asyncio.sleep(WATCHED / 5)
            stack = running_stack(settings.folder)
            assert stack is not None
            (pid,) = [process.pid for process in stack.processes if process.role == "worker-2"]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

        await asyncio.gather(killed(), *(one(user) for user in range(USERS)))
    return longest


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for row in workers(Path(made)):
            print(row)
