"""`memfold up` in the foreground: the supervisor, its signals, and a live line that says how the projections stand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from memfold.infra.supervisor import Supervisor
from memfold.memory.errors import BrokerUnreachable, MemfoldError
from memfold.schemas.partitions import EVENTS
from memfold.serve.embedded import running_stack, worker_specs
from memfold.serve.log_parts import LogParts
from memfold.serve.settings import Settings
from memfold.serve.status import Rates, Status, processes_of, status_of
from memfold.serve.stopping import when_told_to_stop
from memfold.serve.view_client import ViewClient, views_of

_REFRESH = 1.0


async def run_stack(
    settings: Settings, separate: bool, workers: int, parent_pipe: int | None, plain: bool
) -> None:
    """Start the stack, run it until a signal or until the parent has gone, stop it in order."""
    console = Console()
    stop = asyncio.Event()
    when_told_to_stop(stop.set)
    supervisor = Supervisor(
        settings.folder,
        worker_specs(settings, separate, workers),
        bootstrap_servers=settings.bootstrap_servers,
        parent_pipe=parent_pipe,
        progress=lambda what, done, total: _fetching(console, what, done, total),
    )
    console.print(f"starting in {settings.folder}", highlight=False)
    await supervisor.start()
    try:
        for stale in supervisor.cleared:
            console.print(
                f"stopped {stale.role} ({stale.pid}), left over from a crashed run", highlight=False
            )
        console.print(f"running, Kafka at {supervisor.bootstrap_servers}; Ctrl-C stops", highlight=False)
        watching = (
            None if plain or not console.is_terminal else asyncio.create_task(_watch(settings, console))
        )
        await supervisor.run_until(stop)
        if watching:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        console.print("stopping the workers, then the broker")
    finally:
        await supervisor.stop()


async def _watch(settings: Settings, console: Console) -> None:
    """One line, refreshed every second: processes, lag of each role, events a second."""
    rates = Rates()
    with Live(Text("…"), console=console, refresh_per_second=4, transient=True) as live:
        async for found in statuses(settings, _REFRESH, asyncio.Event()):
            if isinstance(found, BrokerUnreachable):
                live.update(Text("the broker is being started again"))
            else:
                rates.take(found)
                live.update(_line(found, rates.a_second.get(EVENTS, 0.0)))


async def statuses(
    settings: Settings, every: float, stop: asyncio.Event
) -> AsyncIterator[Status | BrokerUnreachable]:
    """One status after the other, `every` seconds apart, until `stop`; why there is none where the broker is away in between.

    Raises what `status_now` does where there is none at the start.
    """
    async with _observed(settings) as (parts, views):
        while not stop.is_set():
            try:
                yield await status_of(parts, views)
            except BrokerUnreachable as away:
                yield away
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every)


def _line(found: Status, rate: float) -> Text:
    processes = " ".join(f"{p['role']}:{p['state']}" for p in found["processes"] if p["role"] != "supervisor")
    lags = " ".join(f"{r['role']} {r['lag']}" for r in found["roles"])
    records = found["topics"][EVENTS]["records"]
    return Text(f"{processes} | lag: {lags} | {records} events, {rate:.0f}/s | Ctrl-C stops")


@asynccontextmanager
async def _observed(settings: Settings) -> AsyncIterator[tuple[LogParts, ViewClient]]:
    bootstrap_servers = await asyncio.to_thread(running_stack, settings) or settings.bootstrap_servers
    parts = await asyncio.to_thread(LogParts.open, settings, bootstrap_servers)
    views = views_of(settings)
    try:
        yield parts, views
    finally:
        await views.close()
        parts.close_log()


async def status_now(settings: Settings) -> dict[str, Any]:
    """The status of the stack in the home, or of the Kafka that is configured. Raises BrokerUnreachable where there is none."""
    try:
        async with _observed(settings) as (parts, views):
            return await status_of(parts, views)
    except MemfoldError as failure:
        processes = processes_of(settings)
        if not processes:
            raise
        raise BrokerUnreachable(f"{failure} (recorded processes: {processes})") from failure


def _fetching(console: Console, what: str, done: int, total: int) -> None:
    console.print(f"{what}: {done} of {total}", highlight=False)
