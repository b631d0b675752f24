"""Which worker has which partition, and workers that are started by hand."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from memfold.serve.embedded import environment_of, running_stack
from memfold.serve.settings import Settings
from memfold.serve.view_client import views_of
from tests.serve.adding import Added, adding

SHARED = ("decide", "vector", "graph", "archive")


async def owners(settings: Settings, role: str = "decide") -> dict[int, list[int]]:
    """{pid: partitions} as the workers themselves say; of those that answer."""
    async with views_of(settings) as views:
        return {
            one["pid"]: sorted(map(int, one["positions"][role]))
            for one in await views.status()
            if "positions" in one
        }


async def shared(settings: Settings, workers: int = 2, seconds: float = 120.0) -> dict[int, list[int]]:
    """Wait until so many workers have all partitions between them, each of them at least one."""
    found: dict[int, list[int]] = {}
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = await owners(settings)
                held = sorted(partition for each in found.values() for partition in each)
                if len(found) == workers and all(found.values()) and held == list(range(settings.partitions)):
                    return found
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{workers} workers do not share the partitions: {found}") from None


async def adding_while_killed(
    settings: Settings, worker: asyncio.subprocess.Process, before: float, after: float = 10.0
) -> Added:
    """Adds for so many seconds, then kill -9 of a worker that was started by hand, and adds for some seconds more."""
    done = asyncio.Event()
    task = asyncio.create_task(adding(settings, done))
    await asyncio.sleep(before)
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    await asyncio.sleep(after)
    done.set()
    return await task


@asynccontextmanager
async def joined(
    settings: Settings, environment: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker beside those of the running stack, as somebody starts one by hand; told to end with the block, unless it was killed."""
    servers = await asyncio.to_thread(running_stack, settings)
    assert servers is not None
    argv = [*prefix, sys.executable, "-m", "memfold.serve.cli", "worker", *SHARED]
    variables = environment_of(settings) | {"MEMFOLD_BOOTSTRAP_SERVERS": servers} | dict(environment or {})
    with (settings.folder / "logs" / "joined.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *argv, env={**os.environ, **variables}, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 60)
        except TimeoutError:
            process.kill()
            await process.wait()
    assert process.returncode in (0, -signal.SIGKILL), f"it ended with {process.returncode}, not in order"
