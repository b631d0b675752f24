"""Who reads slowly, or not at all for a while, holds nobody else up and misses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from pathlib import Path

import pytest

from memfold import AsyncMemory
from memfold.memory.errors import ViewUnreachable
from memfold.serve.running import status_now
from memfold.serve.settings import Settings
from memfold.streams.topics import admin_of
from tests.serve.adding import add_until_there
from tests.serve.checks import everything_holds, the_log_verifies
from tests.serve.stacks import pid_of, running_in, servers_of

CHANGES = 150


def lines_of(path: Path) -> list[str]:
    return [
        json.loads(line)["memory"]
        for line in path.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]


async def until_printed(path: Path, count: int) -> None:
    async with asyncio.timeout(60):
        while len(lines_of(path)) < count:  # noqa: ASYNC110 - by another process
            await asyncio.sleep(0.05)


async def test_a_watch_that_is_stopped_holds_nobody_up_and_misses_nothing(
    stack: Settings, memory: AsyncMemory, tmp_path: Path
) -> None:
    """SIGSTOP while changes come; callers see theirs meanwhile, another watch too, and after SIGCONT each comes once, in order."""
    user, out = f"slow-{uuid.uuid4().hex[:8]}", tmp_path / "out"
    argv = [sys.executable, "-m", "memfold.serve.cli", "watch", "--json", "--home", str(stack.folder)]
    await memory.add("begin", user_id=user, infer=False)
    with out.open("w") as file:
        slow = await asyncio.create_subprocess_exec(
            *argv, "--user", user, "--since", "2020-01-01", stdout=file, stderr=asyncio.subprocess.DEVNULL
        )
    expected = [f"change {number}" for number in range(CHANGES)]
    try:
        await until_printed(out, 1)
        os.kill(slow.pid, signal.SIGSTOP)
        async with memory.watch(user_id=user) as quick:
            for start in range(0, CHANGES, 50):
                items = [{"messages": text} for text in expected[start : start + 50]]
                await memory.add_many(items, user_id=user, infer=False)
            seen = [(await asyncio.wait_for(anext(quick), 30))["memory"] for _ in range(CHANGES)]
        assert seen == expected
        assert lines_of(out) == ["begin"]
        os.kill(slow.pid, signal.SIGCONT)
        await until_printed(out, CHANGES + 1)
        assert lines_of(out) == ["begin", *expected]
    finally:
        os.kill(slow.pid, signal.SIGCONT)
        slow.send_signal(signal.SIGINT)
        await slow.wait()


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.parametrize("slow", ["vector", "graph", "archive"])
async def test_a_fold_that_is_stopped_past_its_session_holds_no_other_up_and_catches_up(
    tmp_path: Path, slow: str
) -> None:
    """Two thousand adds while it is stopped: all are decided and in the other projections before it goes on."""
    with running_in(tmp_path / "home", separate=True) as settings:
        user = f"user-{uuid.uuid4().hex[:8]}"
        async with AsyncMemory(home=settings.home) as memory:
            first = await add_until_there(memory, "first", f"{user}/first", user_id=user)
            pid = pid_of(settings, f"worker-{slow}")
            os.kill(pid, signal.SIGSTOP)
            try:
                turns = asyncio.Semaphore(50)

                async def one(number: int) -> str:
                    async with turns:
                        key = f"{user}/{number}"
                        return await add_until_there(memory, f"fact {number}", key, user_id=user, wait=False)

                acknowledged = await asyncio.gather(*(one(number) for number in range(2_000)))
                assert {role["role"]: role["lag"] for role in await others_caught_up(settings, slow)} == {
                    role: 0 for role in ("decide", "vector", "graph", "archive") if role != slow
                }
                await asks_meanwhile(memory, user, slow)
                await asyncio.to_thread(left_its_group, settings, slow)
            finally:
                os.kill(pid, signal.SIGCONT)
            await everything_holds(settings, [first, *acknowledged])
            assert pid_of(settings, f"worker-{slow}") == pid, "nothing had to start again"
        await asyncio.to_thread(the_log_verifies, settings)


async def asks_meanwhile(memory: AsyncMemory, user: str, slow: str) -> None:
    """What was there before is found; what relations belong to says so where they cannot be asked."""
    if slow == "graph":
        with pytest.raises(ViewUnreachable, match="no worker with the graph"):
            await memory.search("first", user_id=user)
    else:
        assert (await memory.search("first", user_id=user))["results"]


def left_its_group(settings: Settings, role: str) -> None:
    """Wait until its session is over: it has to join again."""
    deadline = time.monotonic() + 60
    admin = admin_of(settings.connection(servers_of(settings)))
    while True:
        (described,) = admin.describe_consumer_groups([f"memfold-{role}"]).values()
        if not described.result().members:
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


async def others_caught_up(settings: Settings, slow: str) -> list[dict[str, object]]:
    async with asyncio.timeout(90):
        while True:
            roles = [role for role in (await status_now(settings))["roles"] if role["role"] != slow]
            if all(role["running"] and role["lag"] == 0 for role in roles):
                return roles
            await asyncio.sleep(0.2)
