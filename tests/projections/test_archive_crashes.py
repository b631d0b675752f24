"""The archive's writer killed at every step, killed at random, and on a full disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_errors import ArchiveNotWritten
from memfold.projections.archive_segments import read_covers
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from tests.projections.deadly import COUNTED
from tests.small_disk import small_disk

# Appends batches of 1 to 9 records until it has `total` and says after each how far it is.
CHILD = (
    COUNTED
    + """
from memfold.projections import archive
from memfold.schemas.records import LogRecord
root, total = Path(sys.argv[2]), int(sys.argv[3])
count()
archive.SMALL_ROWS = 60
shard = archive.ArchiveShard(root, "memfold.events", 0)
while shard.position() < total - 1:
    first = shard.position() + 1
    last = min(first + 1 + first % 9, total)
    shard.append([LogRecord("memfold.events", 0, n, n, b"key", b"%d" % n * 40) for n in range(first, last)])
    print(shard.position(), flush=True)
"""
)


def log(count: int) -> list[LogRecord]:
    return [LogRecord(EVENTS, 0, n, n, b"key", b"%d" % n * 40) for n in range(count)]


def child(root: Path, total: int, deadly: int = -1) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD, str(deadly), str(root), str(total)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def check(root: Path, total: int, reference: Path) -> None:
    """Everything is there once, under the digest of an archive that was written in one go, with nothing beside it."""
    source = ArchiveSource(root, verify=True)
    assert [r for batch in source.batches(EVENTS, 0) for r in batch] == log(total)
    if not reference.exists():
        with closing(ArchiveShard(reference, EVENTS, 0)) as shard:
            shard.append(log(total))
    assert source.digest(EVENTS, 0) == ArchiveSource(reference).digest(EVENTS, 0)
    there = {path.name for path in (root / EVENTS).iterdir() if path.suffix != ".lock"}
    assert there == {segment.path.name for segment in read_covers(root, EVENTS)[0]}


def test_killed_before_every_single_step(tmp_path: Path) -> None:
    total, survived, leftovers, temporaries, deadly = 24, False, 0, 0, 0
    while not survived:
        deadly += 1
        root = tmp_path / f"{deadly}"
        process = child(root, total, deadly)
        said, _ = process.communicate()
        survived = process.returncode == 0
        acknowledged = int(said.split()[-1]) if said.split() else -1
        found = list((root / EVENTS).glob("*.parquet"))
        covered = read_covers(root, EVENTS).get(0, [])
        leftovers += len(found) > len(covered)
        temporaries += any((root / EVENTS).glob(".*.tmp"))
        assert ArchiveSource(root).position(EVENTS, 0) >= acknowledged
        with closing(ArchiveShard(root, EVENTS, 0)) as shard:
            assert shard.position() >= acknowledged
            shard.append(log(total))
        check(root, total, tmp_path / "reference")
    assert deadly > 15
    assert leftovers >= 3, "no kill fell between the rename and the removal"
    assert temporaries >= 5, "no kill fell between the write and the rename"


def test_killed_at_random_while_appending(tmp_path: Path) -> None:
    random, total, kills = Random(5), 1_500, 0
    root = tmp_path / "archive"
    acknowledged = -1
    while True:
        process = child(root, total)
        assert process.stdout is not None
        lines = random.randint(1, 40)
        for _ in range(lines):
            line = process.stdout.readline()
            if not line:
                break
            acknowledged = int(line)
        process.kill()
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        process.stdout.close()
        if process.wait() == 0:
            break
        kills += 1
        assert ArchiveSource(root, verify=True).position(EVENTS, 0) >= acknowledged
    assert kills >= 5
    ArchiveShard(root, EVENTS, 0).close()
    check(root, total, tmp_path / "reference")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4) as path:
        yield path


def test_a_full_disk(disk: Path, tmp_path: Path) -> None:
    values = Random(1)
    records = [LogRecord(EVENTS, 0, n, n, b"", values.randbytes(500)) for n in range(7_000)]
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(2_500_000))
    with closing(ArchiveShard(disk, EVENTS, 0)) as shard:
        position = -1
        with pytest.raises(ArchiveNotWritten, match=r"memfold\.events-00000-.*No space left on device.*safe"):  # noqa: PT012
            for start in range(0, len(records), 100):
                shard.append(records[start : start + 100])
                position = shard.position()
        assert 100 < position < 5_000
        for _ in range(3):
            with pytest.raises(ArchiveNotWritten):
                shard.append(records[position + 1 : position + 2_001])
        assert shard.position() == position
        assert not list((disk / EVENTS).glob(".*.tmp"))
        source = ArchiveSource(disk, verify=True)
        assert [r for batch in source.batches(EVENTS, 0) for r in batch] == records[: position + 1]
        ballast.unlink()
        shard.append(records[position + 1 : 4_000])
        assert shard.position() == 3_999
    with closing(ArchiveShard(tmp_path / "fresh", EVENTS, 0)) as fresh:
        fresh.append(records[:4_000])
    assert source.digest(EVENTS, 0) == ArchiveSource(tmp_path / "fresh").digest(EVENTS, 0)
