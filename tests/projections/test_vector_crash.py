"""Kills in the middle of commits, a full disk, damaged files: the shard is whole, goes on, or says what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from memfold.memory.errors import ShardDamaged
from memfold.projections.base import Position, Shard
from memfold.projections.vector import VectorShard
from memfold.projections.vector_errors import ShardRefused
from memfold.schemas.records import Event
from tests.projections.shard_contract import feed
from tests.small_disk import small_disk
from tests.strategies import history

DIMENSIONS = 16
SEED, EVENTS, KILLS = 33, 600, 8

WORKER = """
import sys
from pathlib import Path
from random import Random
from memfold.projections import vector
from tests.projections.shard_contract import feed
from tests.strategies import history

vector.ROWS = 20
events = history(Random({seed}), {events}, dimensions={dimensions})
shard = vector.VectorShard(Path(sys.argv[1]), 0, {dimensions})
print("open", flush=True)
at = 0
while events[at].offset <= shard.position().offset:
    at += 1
for start in range(at, len(events), 2):
    print("apply", flush=True)
    feed(shard, events[start : start + 2])
    print("applied", flush=True)
shard.close()
"""


def digest_of(events: list[Event], path: Path) -> str:
    with closing(VectorShard(path, 0, DIMENSIONS)) as shard:
        feed(shard, events)
        return shard.digest()


def test_kill_9_leaves_all_of_a_batch_or_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    """A worker is killed again and again at random moments; each time the shard equals the fold of what its position says."""
    random, path = Random(1), tmp_path / "p0000"
    events = history(Random(SEED), EVENTS, dimensions=DIMENSIONS)
    program = WORKER.format(seed=SEED, events=EVENTS, dimensions=DIMENSIONS)
    environment = os.environ | {"PYTHONPATH": str(pytestconfig.rootpath)}
    command = [sys.executable, "-W", "error", "-c", program, str(path)]
    moments: Counter[str] = Counter()
    line, offset = "", -1
    for number in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "open\n"
            for _ in range(random.randint(1, 30)):
                line = worker.stdout.readline()
            while line not in ("apply\n", ""):
                line = worker.stdout.readline()
            time.sleep(random.random() * 0.006)
            worker.send_signal(signal.SIGKILL)
            last = [line.strip(), *worker.stdout.read().split()][-1]
        moments["inside a commit" if last == "apply" else "between commits"] += 1
        with closing(VectorShard(path, 0, DIMENSIONS)) as shard:
            offset = shard.position().offset
            prefix = [event for event in events if event.offset <= offset]
            assert shard.digest() == digest_of(prefix, tmp_path / f"fresh{number}")
    with capsys.disabled():
        print(f"\n{KILLS} kills: {dict(moments)}, at offset {offset} of {events[-1].offset}")
    assert moments["inside a commit"] > 0
    with closing(VectorShard(path, 0, DIMENSIONS)) as shard:
        feed(shard, events)
        assert shard.digest() == digest_of(events, tmp_path / "fresh")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 6, lazy=True) as mounted:
        yield mounted


def feed_in_hundreds(shard: Shard, events: list[Event]) -> None:
    for start in range(0, len(events), 100):
        feed(shard, events[start : start + 100])


def test_a_full_disk_is_named_and_nothing_is_lost(disk: Path, tmp_path: Path) -> None:
    events = history(Random(8), 4000, dimensions=768)
    with closing(VectorShard(disk / "p0000", 0, 768)) as shard:
        with pytest.raises(ShardRefused, match=r"No space left on device.*p0000"):
            feed_in_hundreds(shard, events)
        at = shard.position()
        assert 0 < at.offset < events[-1].offset
        with pytest.raises(ShardRefused, match="No space left"):
            feed(shard, events)
        assert shard.position() == at
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        feed(shard, events)
        left = shard.digest()
    with closing(VectorShard(tmp_path / "fresh", 0, 768)) as fresh:
        feed(fresh, events)
        assert left == fresh.digest()


def damaged(file: Path, how: str, random: Random) -> None:
    data = bytearray(file.read_bytes())
    if how == "truncated":
        del data[random.randrange(len(data)) :]
    elif how == "flipped":
        for _ in range(3):
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    else:
        data = bytearray(len(data))
    file.write_bytes(data)


def outcome(path: Path, position: Position, digest: str, events: list[Event]) -> str:
    """What a worker would come to: an error, another digest, or the right one (at once, or by folding on from an earlier commit)."""
    try:
        with closing(VectorShard(path, 0, DIMENSIONS)) as shard:
            if shard.position() != position:
                feed(shard, events)
            return "whole" if shard.digest() == digest else "digest differs"
    except ShardDamaged as error:
        helpful = str(path) in str(error) and "memfold replay rebuild" in str(error)
        return "named" if helpful else f"not helpful: {error}"


@pytest.mark.parametrize("how", ["truncated", "flipped", "zeroed"])
def test_damage_is_found(tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind of file is damaged in turn. Only files that hold no part of the current state may be damaged unnoticed."""
    random, original = Random(6), tmp_path / "original"
    events = history(Random(9), 80, dimensions=DIMENSIONS)
    with closing(VectorShard(original, 0, DIMENSIONS)) as shard:
        feed(shard, events[:60])
    with closing(VectorShard(original, 0, DIMENSIONS)) as shard:
        for start in range(60, 80, 5):
            feed(shard, events[start : start + 5])
        position, digest = shard.position(), shard.digest()
    seen: Counter[tuple[str, str]] = Counter()
    for file in sorted(file for file in original.rglob("*") if file.is_file()):
        path = tmp_path / "p0000"
        shutil.copytree(original, path)
        damaged(path / file.relative_to(original), how, random)
        seen[file.relative_to(original).parts[1], outcome(path, position, digest, events)] += 1
        shutil.rmtree(path)
    with capsys.disabled():
        print(f"\n{how}: {dict(seen)}")
    assert not [found for _, found in seen if found.startswith("not helpful")]
    assert seen["data", "named"] + seen["data", "digest differs"] > 0
