"""Workers that keep their graphs on their own machine's disk: a partition that moves is opened from the snapshot in the home."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from memfold import AsyncMemory
from memfold.projections.generations import FIRST, Generations
from memfold.projections.graph_snapshot import GraphSnapshot
from memfold.serve.replaying import rebuild_served
from memfold.serve.settings import Settings
from tests.serve.checks import everything_holds, settled
from tests.serve.owning import adding_while_killed, joined, shared
from tests.serve.stacks import running_in

SOON = 0.02
"""Minutes."""


def graphs_of(settings: Settings) -> Generations:
    return Generations(settings.folder / "projections", "graph")


async def snapshot_of(settings: Settings, partition: int, command: int, within: float = 60.0) -> None:
    """Wait until the partition has a snapshot in which a command was counted."""
    place, deadline = graphs_of(settings).shard_path(FIRST, partition), time.monotonic() + within
    while not place.is_symlink() or GraphSnapshot(place).position.command_offset < command:
        assert time.monotonic() < deadline, f"no snapshot of command {command} at {place}"
        await asyncio.sleep(0.1)


async def test_a_machine_that_lost_its_disk_has_its_graph_back(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "local_graphs": tmp_path / "disk",
        "graph_snapshot_minutes": SOON,
        "partitions": 2,
    }
    with running_in(tmp_path / "home", **given) as settings:
        async with AsyncMemory(home=settings.home) as memory:
            added = await memory.add("My sister Ana works at Google", user_id="alex")
            receipt = added["receipt"]
            await snapshot_of(settings, receipt["partition"], receipt["offset"])
        assert (tmp_path / "disk" / FIRST / f"p{receipt['partition']:04d}").is_dir()
    shutil.rmtree(tmp_path / "disk")
    with running_in(tmp_path / "home", **given):
        async with AsyncMemory(home=settings.home) as memory:
            found = await memory.relations(user_id="alex", entity="Ana")
            assert "Google" in str(found)
        await everything_holds(settings, [receipt["command_id"]])
        await asyncio.to_thread(rebuild_served, settings, ["graph"], "kafka", lambda _: None)
        await everything_holds(settings, [receipt["command_id"]])
        assert graphs_of(settings).served() != FIRST
        assert (tmp_path / "disk" / graphs_of(settings).served()).is_dir()


@pytest.mark.cluster
@pytest.mark.timeout(600)
async def test_a_machine_is_killed_and_another_goes_on_from_its_snapshots(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "local_graphs": tmp_path / "one",
        "graph_snapshot_minutes": SOON,
        "patience": 90.0,
    }
    with running_in(tmp_path / "home", **given) as settings:
        other = {"MEMFOLD_LOCAL_GRAPHS": str(tmp_path / "other")}
        async with joined(settings, other) as worker:
            theirs = (await shared(settings, 2))[worker.pid]
            assert theirs
            added = await adding_while_killed(settings, worker, before=15)
        await settled(settings)
        assert {f"p{partition:04d}" for partition in theirs} <= {
            path.name for path in (tmp_path / "other" / FIRST).iterdir()
        }
        await everything_holds(settings, added.command_ids)
