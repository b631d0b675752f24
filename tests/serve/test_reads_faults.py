"""Reads as events while things fail: the broker stopped, processes killed by their recorded pids."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from tenacity import AsyncRetrying, stop_after_delay, wait_fixed

from memfold import AsyncMemory
from memfold.memory.errors import ReadNotRecorded
from memfold.serve.missed_reads import MissedReads
from memfold.serve.running import status_now
from memfold.serve.settings import Settings
from tests.serve.checks import everything_holds
from tests.serve.read_events import read_events
from tests.serve.stacks import pid_of, running_in

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running_in(tmp_path_factory.mktemp("shaken"), patience=90.0) as settings:
        yield settings


def hash_of(settings: Settings, query: str) -> bytes:
    """As an auditor with the key makes it, to ask whether a question was asked."""
    key = hmac.digest(settings.key_encrypting_key(), b"memfold queries of reads", hashlib.sha256)
    return hmac.digest(key, query.encode(), hashlib.sha256)


async def test_strict_refuses_and_async_answers_while_the_broker_is_stopped(shaken: Settings) -> None:
    user = f"reader-{uuid.uuid4().hex[:8]}"
    async with (
        AsyncMemory(home=shaken.home, audit={"reads": "strict"}) as strict,
        AsyncMemory(home=shaken.home, audit={"reads": "async"}) as loose,
    ):
        (added,) = (await strict.add("I like tea", user_id=user, infer=False))["results"]
        for memory in (strict, loose):
            await memory.search("warm", user_id=user)
        missed = MissedReads(shaken.folder).count()
        broker = pid_of(shaken, "broker")
        os.kill(broker, signal.SIGSTOP)
        try:
            with pytest.raises(ReadNotRecorded, match=r"the search is not answered: audit\.reads is strict"):
                await strict.search("what do I like?", user_id=user)
            found = await loose.search("what do I like?", user_id=user)
            assert [result["id"] for result in found["results"]] == [added["id"]]
            async for attempt in AsyncRetrying(stop=stop_after_delay(60), wait=wait_fixed(0.1), reraise=True):
                with attempt:
                    assert MissedReads(shaken.folder).count() == missed + 1
        finally:
            os.kill(broker, signal.SIGCONT)
        async for attempt in AsyncRetrying(stop=stop_after_delay(60), wait=wait_fixed(0.5), reraise=True):
            with attempt:
                await strict.search("and now?", user_id=user)
                assert (await status_now(shaken))["missed_reads"] == missed + 1
    line = MissedReads(shaken.folder).path.read_text().splitlines()[-1]
    assert line.split()[1:] == ["search", "WriteUnknown"]
    hashes = {body.query_hash for _, body in read_events(shaken, "user", user)}
    assert hash_of(shaken, "and now?") in hashes


READ_ON = """
import sys
from memfold import Memory
with Memory(home=sys.argv[1], audit={"reads": "strict"}) as memory:
    for number in range(100_000):
        memory.search(f"question {number}", user_id=sys.argv[2])
        print(number, flush=True)
"""


def read_until_killed(settings: Settings, user: str, count: int) -> list[int]:
    """The numbers of the questions that were answered to a process that is killed after `count` of them, or some more."""
    command = [sys.executable, "-c", READ_ON, str(settings.home), user]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        answered: list[int] = []
        for line in process.stdout:
            answered.append(int(line))
            if len(answered) == count:
                process.kill()
    return answered


async def test_a_reader_that_is_killed_has_every_answered_read_on_record(shaken: Settings) -> None:
    user = f"reader-{uuid.uuid4().hex[:8]}"
    async with AsyncMemory(home=shaken.home) as memory:
        await memory.add("I like tea", user_id=user, infer=False)
    answered = read_until_killed(shaken, user, 100)
    assert len(answered) >= 100
    hashes = {body.query_hash for _, body in read_events(shaken, "user", user)}
    assert {hash_of(shaken, f"question {number}") for number in answered} <= hashes


async def test_a_broker_that_is_killed_loses_no_acknowledged_read(shaken: Settings) -> None:
    user = f"reader-{uuid.uuid4().hex[:8]}"
    answered: list[str] = []
    refused = 0
    async with AsyncMemory(home=shaken.home, audit={"reads": "strict"}, patience=90.0) as memory:
        done = await memory.add("I like tea", user_id=user, infer=False)
        for number in range(300):
            if number == 100:
                os.kill(pid_of(shaken, "broker"), signal.SIGKILL)
            try:
                await memory.search(f"question {number}", user_id=user)
            except ReadNotRecorded:
                refused += 1
            else:
                answered.append(f"question {number}")
    assert len(answered) + refused == 300
    assert len(answered) > 100, "it goes on behind the restart"
    await everything_holds(shaken, [done["receipt"]["command_id"]])
    hashes = {body.query_hash for _, body in read_events(shaken, "user", user)}
    assert {hash_of(shaken, query) for query in answered} <= hashes
