"""A round of upkeep over open partitions: damaged ones are left and named, the others go on, closed ones are passed over."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from memfold.projections import archive
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_segments import read_covers
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.streams.archiving import ArchiveSink
from memfold.streams.progress import Progress
from memfold.streams.upkeep import Upkeep


async def opened(root: Path, partition: int) -> ArchiveSink:
    """Three days, in nine files."""
    sink = ArchiveSink(EVENTS, partition, lambda: ArchiveShard(root, EVENTS, partition), Progress())
    await sink.open(lambda _: None)
    for n in range(9):
        await sink.process([LogRecord(EVENTS, partition, n, n // 3 * 86_400_000, b"", b"%d" % n * 50)])
    return sink


async def test_damage_stops_its_own_partition_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(archive, "SMALL_ROWS", 0)
    sinks = [await opened(tmp_path, partition) for partition in range(3)]
    damaged = read_covers(tmp_path, EVENTS)[0][4].path
    content = bytearray(damaged.read_bytes())
    content[len(content) // 3] ^= 1
    damaged.write_bytes(content)
    await sinks[2].close()
    with caplog.at_level(logging.ERROR):
        assert await Upkeep(lambda: sinks, 1, 1 << 20).round() == 6
    assert damaged.name in caplog.text
    assert {p: len(found) for p, found in read_covers(tmp_path, EVENTS).items()} == {0: 9, 1: 3, 2: 9}
    assert damaged.read_bytes() == content
    for sink in sinks:
        await sink.close()


async def test_rounds_go_on_until_they_are_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL_ROWS", 0)
    sinks: list[ArchiveSink] = []
    keeping = asyncio.create_task(Upkeep(lambda: sinks, 0.01, 1 << 20).keep_on())
    sinks.append(await opened(tmp_path, 0))
    async with asyncio.timeout(30):
        while len(read_covers(tmp_path, EVENTS)[0]) > 3:  # noqa: ASYNC110 - files are what is waited for
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.wait([keeping])
    await sinks[0].close()
