"""Reading the archive back: ranges, a writer beside it, and damage of every kind, each named."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Thread

import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from memfold.memory.errors import ShardDamaged
from memfold.projections import archive
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_files import read_segment, write_segment
from memfold.projections.archive_rows import SCHEMA
from memfold.projections.archive_segments import Segment, read_covers
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord

LENGTHS = [100, 60, 140]


def log(count: int = sum(LENGTHS)) -> list[LogRecord]:
    random = Random(count)
    return [
        LogRecord(EVENTS, 0, n, 9_000 + n, random.randbytes(8), random.randbytes(200)) for n in range(count)
    ]


@pytest.fixture
def archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """300 records in three segments."""
    monkeypatch.setattr(archive, "SMALL_ROWS", 1)
    with closing(ArchiveShard(tmp_path, EVENTS, 0)) as shard:
        for length in LENGTHS:
            shard.append(log()[shard.position() + 1 :][:length])
    assert len(segments(tmp_path)) == 3
    return tmp_path


def segments(root: Path) -> list[Segment]:
    return read_covers(root, EVENTS)[0]


def read(
    root: Path, first: int = 0, last: int | None = None, verify: bool = True, size: int = 50
) -> list[LogRecord]:
    batches = list(ArchiveSource(root, verify=verify).batches(EVENTS, 0, first, last, size))
    assert all(0 < len(batch) <= size for batch in batches)
    return [record for batch in batches for record in batch]


def test_any_range(archived: Path) -> None:
    random = Random(2)
    edges = [0, 1, 99, 100, 101, 159, 160, 299, *(random.randrange(300) for _ in range(8))]
    for first in edges:
        assert read(archived, first) == log()[first:]
        for last in edges:
            assert read(archived, first, last) == log()[first : last + 1]
    assert read(archived, 300) == []


def test_nothing_is_archived(tmp_path: Path) -> None:
    source = ArchiveSource(tmp_path)
    assert (source.position(EVENTS, 0), list(source.batches(EVENTS, 0))) == (-1, [])
    assert source.digest(EVENTS, 0) == "00" * 32


def test_more_than_is_archived(archived: Path) -> None:
    with pytest.raises(ShardDamaged, match="offset 300 was asked for, but only 0 to 299 are archived"):
        read(archived, 0, 300)


def test_the_digest_is_of_the_values_not_of_the_files(
    archived: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def digest_of(records: list[LogRecord]) -> str:
        root = tmp_path_factory.mktemp("other")
        with closing(ArchiveShard(root, EVENTS, 0)) as shard:
            shard.append(records)
        return ArchiveSource(root).digest(EVENTS, 0)

    changed = log()
    changed[7] = LogRecord(EVENTS, 0, 7, 0, b"", changed[7].value[:-1] + b"?")
    assert ArchiveSource(archived).digest(EVENTS, 0) == digest_of(log())
    assert len({digest_of(log()), digest_of(log()[:-1]), digest_of(changed)}) == 3


def test_a_writer_beside_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are replaced while they are read: every reading gives a whole beginning of the log."""
    monkeypatch.setattr(archive, "SMALL_ROWS", 60)
    records = log(250)

    def write() -> None:
        with closing(ArchiveShard(tmp_path, EVENTS, 0)) as shard:
            for record in records:
                shard.append([record])

    writer = Thread(target=write)
    writer.start()
    readings = 0
    while writer.is_alive():
        got = read(tmp_path, size=40)
        assert got == records[: len(got)]
        readings += 1
    writer.join()
    assert readings > 10
    assert read(tmp_path) == records


def test_a_truncated_segment_is_named(archived: Path) -> None:
    victim = segments(archived)[1]
    whole = victim.path.read_bytes()
    for length in (0, 3, 12, len(whole) // 2, len(whole) - 1):
        victim.path.write_bytes(whole[:length])
        with pytest.raises(ShardDamaged, match=re.escape(victim.path.name) + ".*offsets 100 to 159"):
            read(archived)
    assert read(archived, 0, 99) == log()[:100]


@pytest.mark.parametrize("number", [0, 1])
def test_a_missing_segment_is_named_by_its_offsets(archived: Path, number: int) -> None:
    victim = segments(archived)[number]
    victim.path.unlink()
    missing = f"holds the offsets {victim.first} to {victim.last}"
    with pytest.raises(ShardDamaged, match=missing):
        read(archived)
    with pytest.raises(ShardDamaged, match=missing):
        ArchiveShard(archived, EVENTS, 0)


def test_a_segment_under_the_name_of_another_is_found(archived: Path) -> None:
    first, second, _ = segments(archived)
    first.path.write_bytes(Segment(first.directory, EVENTS, 0, 160, 299).path.read_bytes())
    with pytest.raises(ShardDamaged, match="does not hold the offsets from 0 on"):
        read(archived)
    first.path.write_bytes(second.path.read_bytes())
    with pytest.raises(ShardDamaged, match="does not hold the offsets from 0 on"):
        read(archived)


def test_a_flipped_bit_anywhere_is_found_or_harmless(archived: Path) -> None:
    """Checksums cover all data of all columns. What goes unnoticed, in headers and in the footer, changes nothing that is read."""
    victim = segments(archived)[1]
    whole = bytearray(victim.path.read_bytes())
    rows = read_segment(victim)
    random, found = Random(4), 0
    for _ in range(500):
        position, bit = random.randrange(len(whole)), 1 << random.randrange(8)
        whole[position] ^= bit
        victim.path.write_bytes(whole)
        whole[position] ^= bit
        try:
            assert read(archived) == log()
            assert read_segment(victim).equals(rows)
        except ShardDamaged as damage:
            found += victim.path.name in str(damage)
    assert found > 400


def test_a_value_that_was_changed_with_a_fitting_checksum_is_found(archived: Path) -> None:
    victim = segments(archived)[1]
    table = read_segment(victim)
    values = table.column("value").to_pylist()
    values[5] = values[5][:-1] + b"!"
    column = SCHEMA.get_field_index("value")
    write_segment(victim, table.set_column(column, SCHEMA.field(column), pa.array(values, pa.binary())))
    assert read(archived, verify=False) != log()
    with pytest.raises(ShardDamaged, match="the value at offset 105 is not the one that was archived"):
        read(archived)


def test_rows_that_were_swapped_or_dropped_are_found(archived: Path) -> None:
    victim = segments(archived)[1]
    table = read_segment(victim)
    for rows in ([0, 2, 1, *range(3, 60)], [0, *range(2, 60)], range(59), [*range(60), 59]):
        write_segment(victim, table.take(list(rows)))
        with pytest.raises(ShardDamaged, match=re.escape(victim.path.name)):
            read(archived, verify=False)


def test_a_segment_of_other_columns_is_found(archived: Path) -> None:
    victim = segments(archived)[0]
    write_segment(victim, read_segment(victim).drop_columns(["leaf_hash"]))
    with pytest.raises(ShardDamaged, match="has other columns"):
        read(archived)
