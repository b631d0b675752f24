"""Upkeep killed at every step and at random: the old set or the new one, never a record twice or missing, and every seal still holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from memfold.audit.sealing import Sealer
from memfold.audit.verifying import Evidence, verify
from memfold.projections import archive
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_errors import ArchiveNotWritten
from memfold.projections.archive_segments import read_covers
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import EVENTS
from tests.projections.deadly import COUNTED
from tests.projections.test_archive_merge import files, log
from tests.small_disk import small_disk

TOTAL, LIMIT = 400, 20_000
# Merges all there is.
CHILD = (
    COUNTED
    + """
from memfold.projections.archive import ArchiveShard
shard = ArchiveShard(Path(sys.argv[2]), "memfold.events", 0)
print("open", flush=True)
count()
while shard.merge(1_000_000, int(sys.argv[3])) != (0, 0):
    pass
"""
)


@pytest.fixture
def sealed_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Segments across the ends of three days, sealed three times."""
    monkeypatch.setattr(archive, "SMALL_ROWS", 0)
    home = tmp_path / "home"
    records = log(TOTAL)
    with closing(ArchiveShard(home / "archive", EVENTS, 0)) as shard:
        for start in range(0, TOTAL, 23):
            shard.append(records[start : start + 23])
            if start % 3 == 0:
                with closing(Sealer(home / "archive", home / "seals", 1)) as sealer:
                    sealer.seal()
    return home


def check(home: Path) -> None:
    """What was archived is there once and in order, at this moment, and is consistent with every seal made before."""
    source = ArchiveSource(home / "archive", verify=True)
    assert [record for batch in source.batches(EVENTS, 0) for record in batch] == log(TOTAL)
    with closing(Sealer(home / "archive", home / "seals", 1)) as sealer:
        sealer.seal()
        report = verify(
            Evidence(home / "archive", home / "seals", 1, sealer.signer.verifier(), records=False)
        )
    assert report.ok, report.findings
    assert report.counts.records == report.counts.sealed == TOTAL


def child(home: Path, deadly: int, limit: int = LIMIT) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", CHILD, str(deadly), str(home / "archive"), str(limit)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def finish(home: Path) -> None:
    """The next writer clears up and merges the rest."""
    with closing(ArchiveShard(home / "archive", EVENTS, 0)) as shard:
        while shard.merge(1_000_000, LIMIT) != (0, 0):
            pass
    files(home / "archive")
    check(home)


def test_killed_before_every_step_of_a_merge(sealed_home: Path, tmp_path: Path) -> None:
    between, deadly, survived = 0, 0, False
    while not survived:
        # The first ones, then some: a merge of a day repeats its steps.
        deadly += 1 if deadly < 12 else 5
        home = tmp_path / f"{deadly}"
        shutil.copytree(sealed_home, home)
        process = child(home, deadly)
        process.communicate()
        survived = process.returncode == 0
        there = list((home / "archive" / EVENTS).glob("*.parquet"))
        between += len(there) > len(read_covers(home / "archive", EVENTS)[0])
        check(home)
        finish(home)
    assert deadly > 30
    assert between >= 3, "no kill fell between a rename and the last removal"


def killed_at_random(sealed_home: Path, tmp_path: Path, kills: int) -> None:
    random, unfinished, longest, number = Random(3), 0, 0.05, 0
    while number < kills or not unfinished:
        assert number < kills + 20, "no kill fell inside a merge"
        number += 1
        home = tmp_path / f"random-{number}"
        shutil.copytree(sealed_home, home)
        with child(home, -1) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            time.sleep(
                random.random() * longest
            )  # anywhere inside the merges; a busy machine comes to them later
            process.kill()
        check(home)
        unfinished += len(files_of(home)) != len(read_covers(home / "archive", EVENTS)[0]) or any(
            (home / "archive" / EVENTS).glob(".*.merged")
        )
        finish(home)
        longest *= 1 if unfinished else 1.5


def files_of(home: Path) -> list[Path]:
    return list((home / "archive" / EVENTS).glob("*.parquet"))


def test_killed_at_random(sealed_home: Path, tmp_path: Path) -> None:
    killed_at_random(sealed_home, tmp_path, 4)


@pytest.mark.long
def test_killed_at_random_forty_times(sealed_home: Path, tmp_path: Path) -> None:
    killed_at_random(sealed_home, tmp_path, 40)


def test_on_a_full_disk_nothing_is_merged_and_with_room_it_is(sealed_home: Path, tmp_path: Path) -> None:
    """A merge writes all before it removes anything, so it needs room for as much again."""
    with small_disk(tmp_path / "disk", 4, lazy=True) as disk:
        home = disk / "home"
        shutil.copytree(sealed_home, home)
        before = files(home / "archive")
        filled = disk / "filled"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filled.write_bytes(bytes(free - 8_192))
        with closing(ArchiveShard(home / "archive", EVENTS, 0)) as shard:
            with pytest.raises(
                ArchiveNotWritten, match=r"cannot be merged: .*No space left.*stay as they are"
            ):
                shard.merge(1_000_000, LIMIT)
            assert files(home / "archive") == before
            assert not [*(home / "archive").rglob(".*.merged")]
            filled.unlink()
            assert shard.merge(1_000_000, LIMIT) != (0, 0)
        check(home)
