"""What-if over 1,000 commands with a chat model that takes 200 ms: all of them asked, then all of them on record.

    python benchmarks/whatif.py

The endpoint is emulated, in a process of its own. The commands were decided by a model too, without its latency, so that the
second run can take its answers.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.material import sentence
from benchmarks.table import Row, report
from memfold import AsyncMemory
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.settings import settings_from
from tests.emulator.process import EmulatorProcess

USERS, COMMANDS_EACH = 100, 10
LATENCY, WANTED = 0.2, 20.0


def whatif(folder: Path) -> list[Row]:
    """Raises AssertionError where it is not what it says: other numbers of commands or calls."""
    with EmulatorProcess() as emulator:
        settings = settings_from(home=folder / "whatif", models=emulator.models(5.0), patience=120)
        stack = EmbeddedStack.start(settings)
        try:
            return asyncio.run(_measured(settings.folder, emulator))
        finally:
            stack.stop()


async def _measured(home: Path, emulator: EmulatorProcess) -> list[Row]:
    models = emulator.models(5.0)
    async with AsyncMemory(home=home, patience=120, models=models) as memory:
        await asyncio.gather(*(_told(memory, user) for user in range(USERS)))
        emulator.order(latency=LATENCY)
        before = emulator.chat_requests()
        used = time.process_time()
        asked, about = await _run(
            memory, prompt="Write down what is worth keeping.", decision_prompt="Decide."
        )
        used, calls = time.process_time() - used, emulator.chat_requests() - before
        assert about["commands decided again"] == USERS * COMMANDS_EACH
        assert about["calls made now"] == calls > USERS * COMMANDS_EACH
        again, about = await _run(memory)
        assert emulator.chat_requests() - before == calls
        assert about["commands decided otherwise"] == 0
    return [
        Row(f"what-if over 1,000 commands of {USERS} users, {calls:,} calls of 200 ms", f"{asked:.1f} s", f"{WANTED:.0f} s",
            f"{calls * LATENCY:,.0f} s one by one; {used:.1f} s of one core", asked <= WANTED),
        Row("the same with every answer on record, no call", f"{again:.1f} s"),
    ]  # fmt: skip


async def _told(memory: AsyncMemory, user: int) -> None:
    for number in range(COMMANDS_EACH):
        await memory.add(sentence(user * COMMANDS_EACH + number), user_id=f"user-{user}")


async def _run(memory: AsyncMemory, **changed: Any) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    made = await memory.what_if(**changed)
    return time.perf_counter() - began, made.json()["about"]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="memfold-bench-") as folder:
        report(whatif(Path(folder)))


if __name__ == "__main__":
    main()
