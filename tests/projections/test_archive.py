"""The archive's writer: exact bytes, columns, few files, one writer, and what it refuses."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.memory.errors import InvalidInput, ShardLocked
from memfold.projections import archive
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_errors import ArchiveGap
from memfold.projections.archive_rows import SCHEMA, leaf_hash
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.codec import encode
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.schemas.records import Envelope, LogRecord, MemoriesDecided, Operation, Scope


def records(count: int, seed: int = 0, topic: str = EVENTS, size: int = 300) -> list[LogRecord]:
    random = Random(seed)
    return [
        LogRecord(topic, 3, offset, 1_700_000_000_000 + offset, random.randbytes(9), random.randbytes(size))
        for offset in range(count)
    ]


def read(root: Path, topic: str = EVENTS) -> list[LogRecord]:
    return [r for batch in ArchiveSource(root, verify=True).batches(topic, 3) for r in batch]


def files(root: Path, topic: str = EVENTS) -> list[str]:
    return sorted(path.name for path in (root / topic).glob("*.parquet"))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=20)), max_size=40), st.randoms())
def test_bytes_come_back_exactly(values: list[tuple[bytes, bytes]], random: Random) -> None:
    log = [LogRecord(EVENTS, 3, n, n * 7 - 1, key, value) for n, (value, key) in enumerate(values)]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        rest = log
        while rest:
            with closing(ArchiveShard(root, EVENTS, 3)) as shard:
                taken = random.randint(1, len(rest))
                shard.append(rest[:taken])
                rest = rest[taken:]
                assert shard.position() == len(log) - len(rest) - 1
        assert read(root) == log


def test_a_row_holds_the_clear_envelope_and_the_leaf(tmp_path: Path) -> None:
    occurred_at = datetime(2026, 3, 3, 12, 30, 1, 234567, tzinfo=UTC)
    envelope = Envelope(
        "r", "memories_decided", "acme", "s", "c", occurred_at, b"", "k", b"", 41, ["m1", "m2"]
    )
    body = MemoriesDecided("decided", operations=[Operation("ADD", "m1", 1, "secret words", Scope("alex"))])
    value = encode(envelope, body, bytes(32))
    with closing(ArchiveShard(tmp_path, EVENTS, 3)) as shard:
        shard.append([LogRecord(EVENTS, 3, 0, 99, b"acme/s", value)])
    (name,) = files(tmp_path)
    assert name == "memfold.events-00003-00000000000000000000-00000000000000000000.parquet"
    (row,) = pq.read_table(tmp_path / EVENTS / name).to_pylist()
    assert {column: row[column] for column in ("topic", "partition", "offset", "timestamp_ms", "key", "value")} == {
        "topic": EVENTS, "partition": 3, "offset": 0, "timestamp_ms": 99, "key": b"acme/s", "value": value,
    }  # fmt: skip
    assert (row["record_id"], row["type"], row["tenant"], row["subject"]) == (
        "r",
        "memories_decided",
        "acme",
        "s",
    )
    assert (row["command_id"], row["command_offset"], row["occurred_at"]) == ("c", 41, occurred_at)
    assert (row["memory_ids"], row["key_id"], len(row["body_schema"])) == (["m1", "m2"], "k", 16)
    assert row["leaf_hash"] == leaf_hash(value)
    assert b"secret words" not in (tmp_path / EVENTS / name).read_bytes()


def test_bytes_that_are_no_envelope_are_archived_all_the_same(tmp_path: Path) -> None:
    log = [
        LogRecord(EVENTS, 3, n, 0, b"", value) for n, value in enumerate([b"", b"\xc3\x01junk", b"\0" * 900])
    ]
    with closing(ArchiveShard(tmp_path, EVENTS, 3)) as shard:
        shard.append(log)
    assert read(tmp_path) == log
    for row in pq.read_table(tmp_path / EVENTS / files(tmp_path)[0]).to_pylist():
        assert [row[name] for name in SCHEMA.names[6:-1]] == [None] * 10


def test_what_is_archived_already_is_ignored(tmp_path: Path) -> None:
    log = records(30)
    with closing(ArchiveShard(tmp_path, EVENTS, 3)) as shard:
        shard.append([])
        assert shard.position() == -1
        shard.append(log[:20])
        shard.append(log[:20])
        shard.append(log[5:30])
        assert shard.position() == 29
    assert read(tmp_path) == log


@pytest.mark.parametrize("wrong", [[1], [0, 2], [0, 1, 1], [1, 0]])
def test_a_gap_is_refused_and_nothing_written(tmp_path: Path, wrong: list[int]) -> None:
    log = records(3)
    with closing(ArchiveShard(tmp_path, EVENTS, 3)) as shard:
        with pytest.raises(ArchiveGap, match=r"memfold.events/3: offset \d came where \d follows"):
            shard.append([log[n] for n in wrong])
        assert (shard.position(), files(tmp_path)) == (-1, [])
        shard.append(log)
        assert shard.position() == 2


def test_a_record_of_another_partition_is_refused(tmp_path: Path) -> None:
    with (
        closing(ArchiveShard(tmp_path, EVENTS, 4)) as shard,
        pytest.raises(ArchiveGap, match="does not belong"),
    ):
        shard.append(records(1))


def test_topics_and_partitions_are_apart(tmp_path: Path) -> None:
    commands, events = records(7, 1, COMMANDS), records(5, 2)
    for topic, log in ((COMMANDS, commands), (EVENTS, events)):
        with closing(ArchiveShard(tmp_path, topic, 3)) as shard:
            shard.append(log)
    with closing(ArchiveShard(tmp_path, EVENTS, 33)) as other:
        assert other.position() == -1
    assert (read(tmp_path, COMMANDS), read(tmp_path)) == (commands, events)


@pytest.mark.parametrize("topic", ["", "..", ".", "a/b", "../x", "a b", "a" * 250, "käse"])
def test_a_topic_that_is_a_path_is_refused(tmp_path: Path, topic: str) -> None:
    with pytest.raises(InvalidInput, match="is not a topic name"):
        ArchiveShard(tmp_path, topic, 0)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with closing(ArchiveShard(tmp_path, EVENTS, 3)):
        with pytest.raises(ShardLocked, match="another process archives"):
            ArchiveShard(tmp_path, EVENTS, 3)
        ArchiveShard(tmp_path, COMMANDS, 3).close()
    ArchiveShard(tmp_path, EVENTS, 3).close()


def test_small_appends_make_few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL_ROWS", 64)
    log = records(400, size=20)
    most = written = 0
    with closing(ArchiveShard(tmp_path, EVENTS, 3)) as shard:
        for record in log:
            shard.append([record])
            newest = files(tmp_path)[-1].split("-")
            written += int(newest[-1].removesuffix(".parquet")) - int(newest[-2]) + 1
            most = max(most, len(files(tmp_path)))
    assert read(tmp_path) == log
    assert all(
        int(name.split("-")[-1][:20]) - int(name.split("-")[-2]) >= 63 for name in files(tmp_path)[:-3]
    )
    assert most <= 400 / 64 + 3
    assert written < 400 * 2 * archive.TAKEN_IN


def test_a_segment_of_enough_bytes_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL_BYTES", 10_000)
    log = records(80)
    with closing(ArchiveShard(tmp_path, EVENTS, 3)) as shard:
        for start in range(0, 80, 40):
            shard.append(log[start : start + 40])
    assert len(files(tmp_path)) == 2
    assert read(tmp_path) == log
