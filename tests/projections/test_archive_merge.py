"""Upkeep of the archive: fewer, sorted files, of a day each, and the same log; damage is never written on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.audit.merkle import CompactRange
from memfold.memory.errors import ShardDamaged
from memfold.projections import archive
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_files import read_segment, write_segment
from memfold.projections.archive_merge import Written, write_merged
from memfold.projections.archive_rows import leaf_hash, table_of
from memfold.projections.archive_segments import Segment, read_covers
from memfold.projections.archive_source import ArchiveSource
from memfold.projections.archive_standing import DAY, standing
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Event, LogRecord
from tests.audit.logs import sealed
from tests.strategies import history

FAR = 1_000_000
"""A day after all others."""


def log(count: int, days: int = 3) -> list[LogRecord]:
    random = Random(count)
    return [
        LogRecord(EVENTS, 0, n, n * days * DAY // count, random.randbytes(8), random.randbytes(100 + n % 90))
        for n in range(count)
    ]


@pytest.fixture
def single(monkeypatch: pytest.MonkeyPatch) -> None:
    """Appends take in nothing: each is a segment."""
    monkeypatch.setattr(archive, "SMALL_ROWS", 0)


def appended(root: Path, records: Sequence[LogRecord], lengths: Sequence[int]) -> ArchiveShard:
    shard = ArchiveShard(root, EVENTS, 0)
    for length in lengths:
        shard.append(records[shard.position() + 1 :][:length])
    return shard


def merge_all(shard: ArchiveShard, limit: int, today: int = FAR, *, all_days: bool = False) -> int:
    """How many merges there were; that they come to an end is part of every test."""
    merges = 0
    while shard.merge(today, limit, all_days=all_days) != (0, 0):
        merges += 1
        assert merges < 1_000
    return merges


def files(root: Path) -> list[Segment]:
    """The cover; nothing else is beside it."""
    found = read_covers(root, EVENTS)[0]
    there = {path.name for path in (root / EVENTS).iterdir() if path.suffix != ".lock"}
    assert there == {segment.path.name for segment in found}
    return found


def everything(root: Path) -> tuple[list[LogRecord], str, bytes]:
    """Records in log order, digest and Merkle root."""
    source = ArchiveSource(root, verify=True)
    records = [record for batch in source.batches(EVENTS, 0, size=37) for record in batch]
    tree = CompactRange()
    tree.extend([leaf_hash(record.value) for record in records])
    return records, source.digest(EVENTS, 0), tree.root()


@pytest.mark.usefixtures("single")
def test_days_that_are_over_become_one_file_each(tmp_path: Path) -> None:
    records = log(300)
    with closing(appended(tmp_path, records, [7] * 43)) as shard:
        before = everything(tmp_path)
        merge_all(shard, 1 << 20, today=2)
        found = [standing(segment) for segment in files(tmp_path)]
        # A segment with records of today waits for its end.
        assert [(one.segment.first, one.segment.last) for one in found[:2]] == [(0, 99), (100, 195)]
        assert not any(one.sorted for one in found[2:])
        merge_all(shard, 1 << 20, today=3)
        found = [standing(segment) for segment in files(tmp_path)]
        assert [(one.segment.first, one.segment.last, one.day, one.sorted) for one in found] == [
            (0, 99, 0, True), (100, 199, 1, True), (200, 299, 2, True),
        ]  # fmt: skip
        assert merge_all(shard, 1 << 20) == 0
        assert everything(tmp_path) == before


@pytest.mark.usefixtures("single")
def test_a_day_that_is_not_over_is_merged_when_it_makes_a_full_file(tmp_path: Path) -> None:
    limit = 100_000
    with closing(appended(tmp_path, log(1_000, days=1), [50] * 20)) as shard:
        before = everything(tmp_path)
        assert merge_all(shard, 10 << 20, today=0) == 0
        assert merge_all(shard, limit, today=0)
        found = [standing(segment) for segment in files(tmp_path)]
        assert max(one.size for one in found) <= limit
        # What is left makes no full file, and the newest is left to the appends.
        assert any(one.sorted for one in found)
        assert not found[-1].sorted
        assert sum(one.size for one in found[:-1] if not one.sorted) < limit
        assert everything(tmp_path) == before
        merge_all(shard, limit, today=0, all_days=True)
        assert all(standing(segment).sorted for segment in files(tmp_path))
        assert everything(tmp_path) == before


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([300, 2_000, 9_000, 1 << 20]), st.booleans()), max_size=4),
    st.lists(st.integers(-1, 2), min_size=400, max_size=400),
)  # fmt: skip
def test_any_segments_merged_in_any_order_are_the_same_log(
    lengths: list[int], merges: list[tuple[int, int, bool]], steps: list[int]
) -> None:
    # Clocks that go on, stand, and are set back, over some days.
    times = [max(0, time) * DAY // 40 for time in itertools.accumulate(steps)]
    records = [
        LogRecord(EVENTS, 0, n, times[n], b"key", Random(n).randbytes(n % 70)) for n in range(sum(lengths))
    ]
    with TemporaryDirectory() as folder, closing(ArchiveShard(Path(folder), EVENTS, 0)) as shard:
        for number, length in enumerate(lengths):
            shard.append(records[shard.position() + 1 :][:length])
            if number < len(merges):
                today, limit, all_days = merges[number]
                merge_all(shard, limit, today, all_days=all_days)
        before = len(files(Path(folder)))
        merge_all(shard, 1 << 20)
        assert len(files(Path(folder))) <= before + len({time // DAY for time in times})
        tree = CompactRange()
        tree.extend([leaf_hash(record.value) for record in records])
        found, _, root = everything(Path(folder))
        assert (found, root) == (records, tree.root())


def test_rows_are_sorted_by_subject_memory_and_time_and_keep_all_columns(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys.db", bytes(32))
    events: list[Event] = history(Random(5), 120)
    records = [sealed(event, keys) for event in events]
    records = [
        LogRecord(EVENTS, 0, number, one.timestamp_ms, one.key, one.value)
        for number, one in enumerate(records)
    ]
    keys.close()
    with closing(ArchiveShard(tmp_path, EVENTS, 0)) as shard:
        shard.append(records)
        merge_all(shard, 64 << 20, all_days=True)
    (segment, *_) = found = files(tmp_path)
    rows = [row for one in found for row in pq.read_table(one.path).to_pylist()]
    for one in found:
        own = pq.read_table(one.path).to_pylist()
        order = [
            (row["subject"], (row["memory_ids"] or ["~"])[0], row["timestamp_ms"], row["offset"])
            for row in own
        ]
        assert order == sorted(order)
    assert sorted(rows, key=lambda row: row["offset"]) == table_of(records).to_pylist()
    assert read_segment(segment).equals(table_of(records[segment.first : segment.last + 1]))


@pytest.mark.usefixtures("single")
def test_any_range_of_sorted_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memfold.projections.archive_files._GROUP_ROWS", 16)
    records = log(200, days=2)
    with closing(appended(tmp_path, records, [40] * 5)) as shard:
        merge_all(shard, 1 << 20)
    source = ArchiveSource(tmp_path, verify=True)
    for first, last in itertools.product([0, 1, 15, 16, 99, 100, 150, 199], repeat=2):
        found = [record for batch in source.batches(EVENTS, 0, first, last, 9) for record in batch]
        assert found == records[first : last + 1]


@pytest.mark.usefixtures("single")
def test_damage_is_found_before_it_is_merged_over(tmp_path: Path) -> None:
    records = log(60, days=1)
    with closing(appended(tmp_path, records, [20] * 3)) as shard:
        middle = files(tmp_path)[1]
        table = table_of([*records[20:30], LogRecord(EVENTS, 0, 30, 1, b"", b"other"), *records[31:40]])
        leaves = table_of(records[20:40]).column("leaf_hash")
        whole = middle.path.read_bytes()
        write_segment(middle, table.set_column(16, table.field("leaf_hash"), leaves))
        changed = middle.path.read_bytes()
        with pytest.raises(
            ShardDamaged, match="the value at offset 30 is not the one that was archived; nothing is merged"
        ):
            shard.merge(FAR, 1 << 20)
        assert [segment.path.read_bytes() for segment in files(tmp_path)][1] == changed
        bit = bytearray(whole)
        bit[len(bit) // 4] ^= 1
        middle.path.write_bytes(bit)
        with pytest.raises(ShardDamaged, match="cannot be read"):
            shard.merge(FAR, 1 << 20)
        assert len(files(tmp_path)) == 3
        middle.path.write_bytes(whole[:-50])
        with (
            closing(ArchiveShard(tmp_path / "other", EVENTS, 0)),
            pytest.raises(ShardDamaged, match="footer"),
        ):
            standing(middle)
        middle.path.write_bytes(whole)
        assert shard.merge(FAR, 1 << 20) == (3, 1)
    assert everything(tmp_path)[0] == records


@pytest.mark.usefixtures("single")
def test_appends_and_readers_go_on_beside_a_merge(tmp_path: Path) -> None:
    records = log(3_000, days=6)
    with closing(appended(tmp_path, records, [10] * 100)) as shard:

        def append() -> None:
            while shard.position() < 2_999:
                shard.append(records[shard.position() + 1 :][:10])

        merges = 0
        with ThreadPoolExecutor() as threads:
            appending = threads.submit(append)
            while not appending.done():
                merges += shard.merge(FAR, 60_000) != (0, 0)
                found = everything(tmp_path)[0]
                assert found == records[: len(found)]
            appending.result()
        assert merges
        merge_all(shard, 60_000)
    assert everything(tmp_path)[0] == records


@pytest.mark.usefixtures("single")
def test_an_append_takes_in_nothing_that_is_being_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = log(200, days=1)
    with closing(appended(tmp_path, records, [20] * 5)) as shard:
        monkeypatch.setattr(archive, "SMALL_ROWS", 5_000)

        def merged_while_appending(run: Sequence[Segment], limit: int) -> Written:
            written = write_merged(run, limit)
            shard.append(records[100:])
            return written

        monkeypatch.setattr(archive, "write_merged", merged_while_appending)
        assert shard.merge(FAR, 1 << 20, all_days=True) == (5, 1)
        assert [(one.first, one.last) for one in files(tmp_path)] == [(0, 99), (100, 199)]
    assert everything(tmp_path)[0] == records
