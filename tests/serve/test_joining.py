"""Workers that join a running stack by hand and leave it: ten rebalances in a row, and one whose clock is an hour off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from memfold import AsyncMemory
from memfold.serve.settings import Settings
from tests.infra.shifted_clock import shifted_by
from tests.serve.adding import Added, adding
from tests.serve.checks import everything_holds, the_log_verifies
from tests.serve.owning import joined, shared
from tests.serve.stacks import running_in

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    # Faust fills workers up to the ceiling: of four partitions a third worker would get none, of six it gets two.
    with running_in(tmp_path_factory.mktemp("joining"), partitions=6, workers=2, patience=90.0) as settings:
        yield settings


@asynccontextmanager
async def while_adding(settings: Settings) -> AsyncIterator[asyncio.Task[Added]]:
    """Adds go on until the block ends; then the task has ended too."""
    done = asyncio.Event()
    task = asyncio.create_task(adding(settings, done))
    try:
        yield task
    finally:
        done.set()
        await asyncio.wait([task])


async def test_ten_rebalances_in_a_row(two: Settings) -> None:
    """Five times a third worker joins, gets its partitions, and leaves; adds go on all the time."""
    await shared(two)
    async with while_adding(two) as added:
        began = time.monotonic()
        for _ in range(5):
            async with joined(two) as third:
                assert third.pid in await shared(two, 3)
            assert third.pid not in await shared(two)
        print(f"ten rebalances took {time.monotonic() - began:.0f} s")
    await everything_holds(two, added.result().command_ids)
    await asyncio.to_thread(the_log_verifies, two)


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_worker_whose_clock_is_an_hour_off(two: Settings, tmp_path: Path, hours: int) -> None:
    """It decides as the others do, and no memory is known earlier or later for it: times are the caller's and the broker's."""
    await shared(two)
    before = datetime.now(UTC)
    async with joined(two, shifted_by(tmp_path, hours * 3600)) as third:
        decided_by_it = (await shared(two, 3))[third.pid]
        async with while_adding(two) as added, AsyncMemory(home=two.home, patience=90.0) as memory:
            for number in range(40):
                done = await memory.add(f"at {number}", user_id=f"late-{hours}-{number}", infer=False)
                if done["receipt"]["partition"] in decided_by_it:
                    break
            else:
                raise AssertionError(f"no add went to {decided_by_it}")
            user = f"late-{hours}-{number}"
            (found,) = (await memory.get_all(user_id=user))["results"]
            (version,) = await memory.history(found["id"])
            now = datetime.now(UTC)
            then = (await memory.get_all(user_id=user, as_of=now.isoformat()))["results"]
            earlier = (await memory.get_all(user_id=user, as_of=before.isoformat()))["results"]
            assert [one["id"] for one in then] == [found["id"]]
            assert earlier == []
            for name in ("created_at", "updated_at"):
                if found.get(name):
                    assert before <= datetime.fromisoformat(found[name]) <= now + timedelta(seconds=1)
            assert before <= datetime.fromisoformat(version["created_at"]) <= datetime.now(UTC)
    await everything_holds(two, added.result().command_ids)
    await asyncio.to_thread(the_log_verifies, two)
