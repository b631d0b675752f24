"""Two worker processes against one, with a model that takes its time, and how long a partition stands when a worker dies and joins.

`python -m benchmarks.workers`; the endpoint is emulated in a process of its own, on the same cores as all else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path

from benchmarks.material import sentence
from benchmarks.table import Row, rate
from memfold import AsyncMemory
from memfold.infra.stack_file import running_stack
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.settings import Settings, settings_from
from tests.emulator.process import EmulatorProcess

SUBJECTS, ADDS_EACH, LATENCY = 64, 4, 0.2
WATCHED = 25.0
"""Seconds of adds around a kill: the session time-out and the restart are within."""
USERS = 12
WANTED, WANTED_STALL = 1.9, 10.0


def workers(folder: Path) -> list[Row]:
    with EmulatorProcess() as emulator:
        emulator.order(latency=LATENCY)
        rates: list[float] = []
        stall = 0.0
        for count in (1, 2):
            settings = settings_from(
                home=folder / f"workers-{count}", models=emulator.models(5.0), patience=120
            )
            stack = EmbeddedStack.start(settings, workers=count)
            try:
                rates.append(asyncio.run(_adds_a_second(settings)))
                if count == 2:
                    stall = asyncio.run(_longest_stall(settings))
            finally:
                stack.stop()
    ratio = rates[1] / rates[0]
    beside = f"{rate(rates[1])} against {rate(rates[0])}, {SUBJECTS} subjects"
    return [
        Row(
            "2 worker processes against 1, model latency 200 ms",
            f"{ratio:.2f}x",
            "1.9x",
            beside,
            ratio >= WANTED,
        ),
        Row(
            "longest add while a worker is killed and joins again",
            f"{stall:.1f} s",
            "10 s",
            "",
            stall <= WANTED_STALL,
        ),
    ]


async def _adds_a_second(settings: Settings) -> float:
    async with AsyncMemory(home=settings.home, patience=120) as memory:

        async def one(subject: int, adds: int) -> None:
            for number in range(adds):
                await memory.add(sentence(subject * 100 + number), user_id=f"user-{subject}")

        await asyncio.gather(*(one(subject + 1_000, 1) for subject in range(8)))
        began = time.perf_counter()
        await asyncio.gather(*(one(subject, ADDS_EACH) for subject in range(SUBJECTS)))
        return SUBJECTS * ADDS_EACH / (time.perf_counter() - began)


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
