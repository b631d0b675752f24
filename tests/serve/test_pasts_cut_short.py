"""Building a past cut short with kill -9, taken up, refused; and who is erased is in none. Over an archive, without Kafka."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold import AsyncMemory, Memory
from memfold.memory.errors import InvalidInput, PastOutlived, RebuildRunning, ShardDamaged
from memfold.replay.only_one import only_one
from memfold.replay.past_log import end_at
from memfold.replay.past_manifest import BUILDING, SUBJECTS, WHOLE, manifest_of, read_manifest
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.serve.pasts import past_at
from memfold.serve.settings import Settings, settings_from
from tests.replay.archived_log import KEK, ArchivedLog
from tests.strategies import OWNERS

EVENTS_EACH, MANY = 150, 900
"""Of many, more than are worth processes of their own are left."""
ACME: dict[str, Any] = {"tenant": "acme", "key": b64encode(KEK).decode(), "partitions": 2}
STAGES = (BUILDING, SUBJECTS, "projections/vector/g0001/p0000", "projections/graph/g0001/p0001")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> ArchivedLog:
    made = ArchivedLog(tmp_path_factory.mktemp("log") / "home", 2, EVENTS_EACH)
    made.archive(EVENTS_EACH)
    return made


def of(log: ArchivedLog) -> Settings:
    return settings_from(home=log.home, **ACME)


def middle(log: ArchivedLog) -> datetime:
    return log.histories[0][2 * len(log.histories[0]) // 3].recorded_at


def killed(log: ArchivedLog, folder: Path, stage: str, after: float) -> None:
    """Start a build and kill it so many seconds after `stage` is there."""
    command = [sys.executable, "-m", "memfold.serve.cli", "replay", "at", middle(log).isoformat()]
    command += ["-o", str(folder), "--from", "archive", "--home", str(log.home)]
    env = {**os.environ, **{f"MEMFOLD_{name.upper()}": str(value) for name, value in ACME.items()}}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as process:
        while process.poll() is None and not (folder / stage).exists():
            time.sleep(0.001)
        # The moment itself is what is drawn: nothing is waited for.
        time.sleep(after)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def survives(log: ArchivedLog, folder: Path, stage: str, after: float) -> None:
    killed(log, folder, stage, after)
    whole = manifest_of(folder.with_name("whole"))
    if (folder / WHOLE).exists():
        taken_up = manifest_of(folder)
    else:
        with pytest.raises(InvalidInput, match=r"is half built; `memfold replay at .* goes on with it"):
            Memory.open(folder)
        taken_up = past_at(of(log), middle(log), folder, "archive")
    assert (taken_up.digests, taken_up.ends) == (whole.digests, whole.ends)
    with Memory.open(folder, **ACME) as past, Memory.open(folder.with_name("whole"), **ACME) as other:
        found = past.get_all(agent_id="planner", limit=1_000)
        assert found["results"]
        assert found == other.get_all(agent_id="planner", limit=1_000)


@pytest.mark.timeout(120)
def test_a_kill_leaves_nothing_that_opens_and_the_same_call_goes_on(log: ArchivedLog, tmp_path: Path) -> None:
    past_at(of(log), middle(log), tmp_path / "whole", "archive")
    random = Random()
    for number, stage in enumerate((random.choice(STAGES[:2]), random.choice(STAGES[2:]))):
        survives(log, tmp_path / f"past{number}", stage, random.uniform(0, 0.2))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ten_kills(log: ArchivedLog, tmp_path: Path) -> None:
    past_at(of(log), middle(log), tmp_path / "whole", "archive")
    random = Random()
    for number in range(10):
        survives(log, tmp_path / f"past{number}", random.choice(STAGES), random.uniform(0, 0.5))


def test_a_kill_between_the_last_two_steps_leaves_a_whole_past(log: ArchivedLog, tmp_path: Path) -> None:
    past_at(of(log), middle(log), tmp_path / "past", "archive")
    (tmp_path / "past" / BUILDING).write_bytes((tmp_path / "past" / WHOLE).read_bytes())
    with Memory.open(tmp_path / "past", **ACME) as past:
        assert past.get_all(agent_id="planner")["results"]


def test_only_the_same_past_is_taken_up_and_by_one_at_a_time(log: ArchivedLog, tmp_path: Path) -> None:
    folder = tmp_path / "past"
    past_at(of(log), middle(log), folder, "archive")
    (folder / WHOLE).rename(folder / BUILDING)
    with pytest.raises(InvalidInput, match="holds a half built past of"):
        past_at(of(log), log.histories[0][5].recorded_at, folder, "archive")
    with (
        only_one(folder, "memfold replay at"),
        pytest.raises(RebuildRunning, match=f"process {os.getpid()}"),
    ):
        past_at(of(log), middle(log), folder, "archive")
    assert read_manifest(folder) is None


def test_data_that_is_not_what_the_manifest_says_is_not_opened(log: ArchivedLog, tmp_path: Path) -> None:
    """As a power cut may leave it: the manifest is synced, a shard was not."""
    folder, other = tmp_path / "past", tmp_path / "other"
    past_at(of(log), middle(log), folder, "archive")
    past_at(of(log), log.histories[0][5].recorded_at, other, "archive")
    for projection in ("vector", "graph"):
        shard = Path("projections") / projection / "g0001" / "p0000"
        (folder / shard).rename(tmp_path / projection)
        (other / shard).rename(folder / shard)
        with pytest.raises(ShardDamaged, match=r"delete this past and build it again"):
            Memory.open(folder, **ACME).connect()
        (folder / shard).rename(other / shard)
        (tmp_path / projection).rename(folder / shard)
    with Memory.open(folder, **ACME):
        pass


async def test_who_is_erased_cannot_be_read(tmp_path: Path) -> None:
    log = ArchivedLog(tmp_path / "home", 2, 150)
    log.archive(150)
    moment = max(events[-1].recorded_at for events in log.histories)
    gone, stays = OWNERS[:2]
    past_at(of(log), moment, tmp_path / "before", "archive")
    async with AsyncMemory.open(tmp_path / "before", **ACME) as past:
        everything = (await past.get_all(agent_id="planner", limit=1_000))["results"]
        mine = [one["id"] for one in everything if one["user_id"] == gone.user_id]
        others = [one["id"] for one in everything if one["user_id"] == stays.user_id]
        assert mine
        assert others
        with closing(KeyStore(log.home / "keys.db", KEK)) as keys:
            keys.destroy(keys.subject_of("acme", "user", gone.subject))
        for call in (
            past.get(mine[0]),
            past.get_all(agent_id="planner"),
            past.search("x", agent_id="planner"),
            past.relations(agent_id="planner"),
            past.history(mine[0]),
            past.export(user_id=stays.subject),
        ):
            with pytest.raises(PastOutlived, match=r"1 subject\(s\) in .* were erased after it was built"):
                await call
    with pytest.raises(PastOutlived):
        await AsyncMemory.open(tmp_path / "before", **ACME).connect()
    past_at(of(log), moment, tmp_path / "after", "archive")
    async with AsyncMemory.open(tmp_path / "after", **ACME) as past:
        left = (await past.get_all(agent_id="planner", limit=1_000))["results"]
        assert [one["id"] for one in left] == others
        for memory_id in mine:
            assert await past.get(memory_id) is None
            assert await past.history(memory_id) == []


class Times:
    """A `TopicLog` of nothing but times, in milliseconds."""

    def __init__(self, times: list[int]) -> None:
        self.times = times

    def end(self, topic: str, partition: int) -> int:
        return len(self.times)

    def read(self, topic: str, partition: int, start: int, end: int) -> Any:
        yield [LogRecord(topic, partition, at, self.times[at], b"", b"") for at in range(start, end)]


@given(st.lists(st.integers(0, 50)).map(sorted), st.integers(-1, 51_000))
def test_the_log_is_cut_behind_the_last_record_of_the_moment(times: list[int], micros: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    expected = sum(1000 * time <= micros for time in times)
    assert end_at(Times(times), EVENTS, 0, len(times), moment) == expected
