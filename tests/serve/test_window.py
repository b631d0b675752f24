"""The decide window in a whole stack: many commands in flight, a model that often fails, and a worker killed with its window full.

The endpoint is emulated, in a process of its own; everything else is real. One partition, so that all share one window.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from memfold import AsyncMemory
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Event
from memfold.serve.settings import Settings
from memfold.streams.projecting import open_batch
from memfold.streams.window import Limit
from tests.emulator.process import OFTEN, EmulatorProcess
from tests.serve.checks import everything_holds, reader_of, records, settled
from tests.serve.stacks import pid_of, running_in

ADDS_EACH = 6


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as running:
        yield running


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, emulator: EmulatorProcess) -> Iterator[Settings]:
    """A stack of one partition whose models are the emulator."""
    home = tmp_path_factory.mktemp("asking")
    with running_in(home, models=emulator.models(0.5), partitions=1, patience=90.0) as settings:
        yield settings


def said_by(user: str) -> list[str]:
    return [f"{user} told me story number {number}" for number in range(ADDS_EACH)]


async def add_all_at_once(memory: AsyncMemory, users: list[str]) -> list[str]:
    """Every user's adds, none waited for, so that those of one subject stand in the window together; the command ids."""

    async def one(user: str) -> list[str]:
        done = [await memory.add(text, user_id=user, wait=False) for text in said_by(user)]
        return [each["receipt"]["command_id"] for each in done]

    return [command for each in await asyncio.gather(*map(one, users)) for command in each]


def events_of(settings: Settings) -> list[Event]:
    """What counts in the log: of each command the first event."""
    keys = KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())
    opened = open_batch(records(reader_of(settings), EVENTS, 0), keys).events
    keys.close()
    return [
        event
        for number, event in enumerate(opened)
        if event.envelope.command_offset
        > max((e.envelope.command_offset for e in opened[:number]), default=-1)
    ]


async def each_is_there_once_and_in_order(
    settings: Settings, memory: AsyncMemory, users: list[str]
) -> list[Event]:
    """In the log and in view; the users' events."""
    theirs: list[Event] = []
    events = await asyncio.to_thread(events_of, settings)
    for user in users:
        mine = [e for e in events if any(done.scope.user_id == user for done in e.body.operations)]
        assert [done.text for event in mine for done in event.body.operations] == said_by(user)
        in_view = [row["memory"] for row in (await memory.get_all(user_id=user))["results"]]
        assert sorted(in_view) == said_by(user)
        theirs += mine
    return theirs


@pytest.mark.timeout(300)
async def test_a_model_that_often_fails_loses_nothing_repeats_nothing_and_keeps_each_subjects_order(
    asking: Settings, emulator: EmulatorProcess
) -> None:
    users = [f"often-{n}" for n in range(20)]
    emulator.order(mix=OFTEN, seed=3)
    try:
        async with AsyncMemory(home=asking.home, patience=90.0) as memory:
            commands = await add_all_at_once(memory, users)
            await settled(asking)
            events = await each_is_there_once_and_in_order(asking, memory, users)
    finally:
        emulator.order(mix={})
    attempts = [call.attempts for event in events for call in event.body.calls]
    assert max(attempts) > 1, "the endpoint did fail"
    assert {event.body.outcome for event in events} <= {"decided", "degraded"}
    await everything_holds(asking, commands)


@pytest.mark.timeout(300)
async def test_a_worker_killed_with_its_window_full_loses_and_repeats_nothing(
    asking: Settings, emulator: EmulatorProcess
) -> None:
    users = [f"killed-{n}" for n in range(60)]
    assert len(users) * (ADDS_EACH - 1) > Limit().works
    worker = pid_of(asking, "worker")
    reader = reader_of(asking)
    _, begin = reader.bounds(EVENTS, 0)
    emulator.order(latency=0.3)
    try:
        async with AsyncMemory(home=asking.home, patience=90.0) as memory:
            commands = await add_all_at_once(memory, users)
            while (end := reader.bounds(EVENTS, 0)[1]) == begin:  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.01)
            assert len(commands) - (end - begin) >= Limit().works, "the window is full"
            os.kill(worker, signal.SIGKILL)
            emulator.order(latency=0.0)
            await settled(asking)
            await each_is_there_once_and_in_order(asking, memory, users)
    finally:
        emulator.order(latency=0.0)
    await everything_holds(asking, commands)
    assert pid_of(asking, "worker") != worker
