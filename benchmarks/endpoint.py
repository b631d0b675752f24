"""Adds through a model endpoint with latency: many subjects at once, one caller alone, and an endpoint that often fails.

The endpoint is emulated, in a process of its own, and asked as a real one is: an extraction for each add, and a decision when
the subject has memories. What was decided is then read back from the log, and what can be seen from the view.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.material import sentence
from benchmarks.table import Row, rate
from memfold import AsyncMemory
from memfold.infra.stack_file import running_stack
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Event
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.settings import Settings, settings_from
from memfold.streams.projecting import open_batch
from memfold.streams.reader import LogReader
from tests.emulator.process import OFTEN, EmulatorProcess

SUBJECTS = 64
ADDS_EACH = 6
ALONE = 8
"""Subjects whose adds one caller makes, one after the other: its rate does not depend on how many there are."""
LATENCY = 0.2
TIMEOUT = 1.0
WANTED, WANTED_RATIO = 60.0, 3.0


@dataclass(frozen=True, slots=True)
class Run:
    """How fast it was, how many calls and how much of one core in the worker an add took, and what became of the adds."""

    adds_a_second: float
    calls_an_add: float
    processor_seconds_an_add: float
    outcomes: Counter[str]


def endpoint(folder: Path) -> list[Row]:
    with EmulatorProcess() as emulator:
        settings = settings_from(home=folder / "endpoint", models=emulator.models(TIMEOUT), patience=120)
        stack = EmbeddedStack.start(settings)
        try:
            return asyncio.run(_measure(settings, emulator))
        finally:
            stack.stop()


async def _measure(settings: Settings, emulator: EmulatorProcess) -> list[Row]:
    async with AsyncMemory(home=settings.home, patience=settings.patience) as memory:
        bench = _Bench(settings, memory, emulator)
        await bench.run("warm", SUBJECTS, at_once=True)
        emulator.order(latency=LATENCY)
        together = await bench.run("together", SUBJECTS, at_once=True)
        alone = await bench.run("alone", ALONE, at_once=False)
        emulator.order(mix=OFTEN, seed=1)
        failing = await bench.run("failing", SUBJECTS, at_once=True)
    return _rows(together, alone, failing)


class _Bench:
    def __init__(self, settings: Settings, memory: AsyncMemory, emulator: EmulatorProcess) -> None:
        self._settings, self._memory, self._emulator = settings, memory, emulator

    async def run(self, name: str, subjects: int, at_once: bool) -> Run:
        """Adds of users of its own, each awaited by its caller; raises if one is lost, counts twice or is out of order."""
        users = {
            f"{name}-{n}": [sentence(n * ADDS_EACH + k) for k in range(ADDS_EACH)] for n in range(subjects)
        }
        asked, used = self._emulator.chat_requests(), _processor_seconds(self._settings)
        started = time.perf_counter()
        callers = [self._caller(user, said) for user, said in users.items()]
        await (asyncio.gather(*callers) if at_once else _one_by_one(callers))
        seconds = time.perf_counter() - started
        adds = subjects * ADDS_EACH
        calls = (self._emulator.chat_requests() - asked) / adds
        processor = (_processor_seconds(self._settings) - used) / adds
        return Run(adds / seconds, calls, processor, await self._checked(users))

    async def _caller(self, user: str, said: Sequence[str]) -> None:
        for text in said:
            await self._memory.add(text, user_id=user)

    async def _checked(self, users: dict[str, list[str]]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        decided = await asyncio.to_thread(_events, self._settings)
        for user, said in users.items():
            events = [event for event in decided if _user(event) == user]
            in_log = [operation.text for event in events for operation in event.body.operations]
            assert in_log == said, f"{user} said {said}, the log has {in_log}"
            seen = [row["memory"] for row in (await self._memory.get_all(user_id=user))["results"]]
            assert sorted(seen) == sorted(said), f"{user} said {said}, in view are {seen}"
            outcomes.update(event.body.outcome for event in events)
        return outcomes


async def _one_by_one(callers: Sequence[Awaitable[None]]) -> None:
    for caller in callers:
        await caller


def _processor_seconds(settings: Settings) -> float:
    """What the worker has used so far."""
    stack = running_stack(settings.folder)
    assert stack is not None
    (pid,) = [process.pid for process in stack.processes if process.role == "worker"]
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _events(settings: Settings) -> list[Event]:
    """Everything in the log that was decided, each partition in order."""
    stack = running_stack(settings.folder)
    assert stack is not None
    reader = LogReader(settings.connection(stack.bootstrap_servers))
    keys = KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())
    found: list[Event] = []
    for partition in range(settings.partitions):
        _, end = reader.bounds(EVENTS, partition)
        for records in reader.read(EVENTS, partition, 0, end):
            found += open_batch(records, keys).events
    keys.close()
    reader.close()
    return found


def _user(event: Event) -> str | None:
    return event.body.operations[0].scope.user_id if event.body.operations else None


def _rows(together: Run, alone: Run, failing: Run) -> list[Row]:
    ratio = together.adds_a_second / alone.adds_a_second
    ways = f"{LATENCY * 1e3:.0f} ms a call"
    return [
        Row(
            f"adds through an endpoint, {ways}, {SUBJECTS} subjects at once",
            rate(together.adds_a_second),
            rate(WANTED),
            f"subjects / (calls x latency): {rate(SUBJECTS / (together.calls_an_add * LATENCY))}, "
            f"{together.calls_an_add:.2f} calls an add; 1 / the worker's processor time: "
            f"{rate(1 / together.processor_seconds_an_add)}",
            together.adds_a_second >= WANTED,
        ),
        Row(
            f"the same adds by one caller ({ALONE} subjects, one after the other)",
            f"{alone.adds_a_second:.1f}/s",
            "",
            f"1 / (calls x latency): {1 / (alone.calls_an_add * LATENCY):.1f}/s",
        ),
        Row("at once against one caller", f"{ratio:.1f}x", f"{WANTED_RATIO:g}x", "", ratio >= WANTED_RATIO),
        Row(
            f"{SUBJECTS} at once, 10 % time-outs ({TIMEOUT:g} s), 10 % 500s, 10 % broken JSON",
            rate(failing.adds_a_second),
            "none lost or twice",
            f"{failing.outcomes['decided']} decided, {failing.outcomes['degraded']} kept as said, 0 lost, 0 twice, "
            f"in order; {failing.calls_an_add:.2f} calls an add",
            failing.outcomes.total() == SUBJECTS * ADDS_EACH,
        ),
    ]
