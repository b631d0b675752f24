"""A rebuild on a real stack whose disk is full: it says what to free, nothing that is served or written is lost, and with room it works."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from memfold import AsyncMemory
from memfold.memory.errors import NoRoom
from memfold.projections.generations import Generations
from memfold.serve.replaying import rebuild_served
from memfold.serve.settings import Settings
from tests.serve.checks import everything_holds, settled
from tests.serve.stacks import running_in
from tests.small_disk import small_disk

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
DISK, LEFT = 64, 2 * 2**20
"""Megabytes of the disk with the projections, and bytes that others leave of it."""


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Settings]:
    """A stack whose projections lie on a disk of their own."""
    with small_disk(tmp_path / "disk", DISK, lazy=True) as disk:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "projections").symlink_to(disk)
        with running_in(tmp_path / "home", scrub_share=0) as settings:
            yield settings


async def test_a_rebuild_that_finds_the_disk_full_changes_nothing(cramped: Settings) -> None:
    user = f"cramped-{uuid.uuid4().hex[:8]}"
    folder = cramped.folder / "projections"
    served = [Generations(folder, name) for name in ("vector", "graph")]
    async with AsyncMemory(home=cramped.home) as memory:
        items = [{"messages": f"fact {n} of {user}"} for n in range(3_000)]
        done = await memory.add_many(items, user_id=user, infer=False)
        acknowledged = [one["command_id"] for one in done["receipts"]]
        await settled(cramped)
        before = [each.served() for each in served]
        (folder / "others").write_bytes(bytes(shutil.disk_usage(folder).free - LEFT))
        with pytest.raises(NoRoom, match="are free"):
            await asyncio.to_thread(rebuild_served, cramped, ["vector", "graph"], "kafka", lambda built: None)
        assert [each.served() for each in served] == before
        assert [each.existing() for each in served] == [[name] for name in before], (
            "nothing half built is left"
        )
        more = await memory.add("written on a full disk", user_id=user, infer=False)
        acknowledged.append(more["receipt"]["command_id"])
        (folder / "others").unlink()
        await everything_holds(cramped, acknowledged)
        await asyncio.to_thread(rebuild_served, cramped, ["vector", "graph"], "kafka", lambda built: None)
        assert len((await memory.get_all(user_id=user, limit=5_000))["results"]) == 3_001
        await everything_holds(cramped, acknowledged)
