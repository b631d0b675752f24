"""Kills at random moments of a mirror that is being written: it goes on from its position, and the store holds what the log says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Lock

import pytest

from memfold.projections.vector import VectorShard
from memfold.stores.adapters import open_store
from memfold.stores.mirror_shard import MirrorShard
from tests.projections.shard_contract import feed
from tests.strategies import history

DIMENSIONS, SEED, EVENTS, KILLS = 16, 33, 240, 6
BATCH = 6

WORKER = """
import sys
from pathlib import Path
from tests.stores.test_mirror_crash import BATCH, events_of, opened
from tests.projections.shard_contract import feed

mirror, events = opened(Path(sys.argv[1])), events_of()
print("open", flush=True)
for start in range(0, len(events), BATCH):
    if events[min(start + BATCH, len(events)) - 1].offset > mirror.position().offset:
        print("apply", flush=True)
        feed(mirror, events[start : start + BATCH])
        print("applied", flush=True)
"""


def events_of() -> list:  # type: ignore[type-arg]
    return history(Random(SEED), EVENTS, dimensions=DIMENSIONS)


def opened(folder: Path) -> MirrorShard:
    config = {"path": str(folder / "qdrant"), "collection_name": "memories"}
    store = open_store("qdrant", config, DIMENSIONS, not (folder / "qdrant").exists())
    return MirrorShard(folder / "book", 0, DIMENSIONS, store, Lock())


def test_kill_9_leaves_a_mirror_that_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    random, moments = Random(2), Counter[str]()
    opened(tmp_path).close()
    environment = os.environ | {"PYTHONPATH": str(pytestconfig.rootpath)}
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    for _ in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "open\n"
            line = ""
            for _ in range(random.randint(1, 10)):
                line = worker.stdout.readline()
            while line not in ("apply\n", ""):
                line = worker.stdout.readline()
            time.sleep(random.random() * 0.03)
            worker.send_signal(signal.SIGKILL)
            last = [line.strip(), *worker.stdout.read().split()][-1]
        moments["inside a commit" if last == "apply" else "between commits"] += 1
    with capsys.disabled():
        print(f"\n{KILLS} kills of a mirror: {dict(moments)}")
    assert moments["inside a commit"] > 0
    events = events_of()
    with (
        closing(opened(tmp_path)) as mirror,
        closing(VectorShard(tmp_path / "fresh", 0, DIMENSIONS)) as fresh,
    ):
        assert -1 < mirror.position().offset < events[-1].offset
        feed(mirror, events)
        feed(fresh, events)
        assert mirror.differing() == []
        assert mirror.digest() == fresh.digest()
