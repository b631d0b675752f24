from __future__ import annotations

import struct
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import lancedb
import pytest
from msgspec.structs import replace

from memfold.memory.errors import InvalidInput, ShardLocked
from memfold.projections.base import Position, fenced
from memfold.projections.vector import VectorShard
from memfold.projections.vector_table import VectorTable
from memfold.schemas.records import Event
from tests.projections.shard_contract import ShardContract, feed
from tests.strategies import DIMENSIONS, history


class TestVectorShard(ShardContract):
    @staticmethod
    def open_shard(path: Path) -> VectorShard:
        return VectorShard(path, 0, DIMENSIONS)


class CommitsOften(VectorShard):
    """Most histories of the contract are short: here every few rows are committed, and a tail begun."""

    def keep_up(self) -> None:
        if len(self._tail.rows) >= 4:
            self.commit()
        super().keep_up()


class TestVectorShardThatCommitsOften(ShardContract):
    @staticmethod
    def open_shard(path: Path) -> VectorShard:
        return CommitsOften(path, 0, DIMENSIONS)


@pytest.fixture
def events() -> list[Event]:
    return fenced(history(Random(11), 60), Position())[0]


def with_vector(event: Event, vector: bytes) -> Event:
    added = [replace(done, op="ADD", vector=vector) for done in event.body.operations]
    return replace(event, body=replace(event.body, operations=added))


def test_a_position_that_was_passed_is_refused(tmp_path: Path, events: list[Event]) -> None:
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        feed(shard, events)
        left = shard.position(), shard.digest()
        for offset in (left[0].offset, left[0].offset - 1):
            with pytest.raises(ShardLocked, match="stale"):
                shard.apply(events[-1:], replace(left[0], offset=offset))
        shard.apply([], left[0])
        assert (shard.position(), shard.digest()) == left


def test_a_writer_that_slipped_past_the_lock_finds_out_before_it_writes(
    tmp_path: Path, events: list[Event]
) -> None:
    path = tmp_path / "p0000"
    with closing(VectorShard(path, 0, DIMENSIONS)) as shard:
        other = VectorTable(path, DIMENSIONS)
        feed(shard, events[:30])
        left = shard.position(), shard.digest()
        for all_new in (True, False):
            with pytest.raises(ShardLocked, match="another writer has brought"):
                other.commit([], Position(offset=10_000), all_new)
        assert (shard.position(), shard.digest()) == left
        VectorTable(path, DIMENSIONS).commit([], Position(offset=10_000), all_new=True)
        with pytest.raises(ShardLocked, match="another writer has brought"):
            feed(shard, events)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_vector_that_is_no_number_is_named_and_nothing_is_written(
    tmp_path: Path, events: list[Event], value: float
) -> None:
    bad = with_vector(next(e for e in events if e.body.operations), struct.pack("<4e", 1, value, 0, 0))
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        with pytest.raises(
            InvalidInput,
            match=f"offset {bad.offset} has NaN or infinity .* {bad.body.operations[0].memory_id}",
        ):
            feed(shard, [bad])
        assert shard.position() == Position()
        feed(shard, events)


def test_a_vector_of_another_model_is_named(tmp_path: Path, events: list[Event]) -> None:
    bad = with_vector(next(e for e in events if e.body.operations), bytes(6))
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        with pytest.raises(
            InvalidInput, match=f"offset {bad.offset} has a vector of 6 bytes.*holds 4 float16"
        ):
            feed(shard, [bad])
        assert shard.position() == Position()


def test_a_shard_of_another_model_is_not_opened(tmp_path: Path) -> None:
    VectorShard(tmp_path / "p0000", 0, DIMENSIONS).close()
    with pytest.raises(InvalidInput, match=r"holds vectors of 4 dimensions, the embedder gives 8.*rebuild"):
        VectorShard(tmp_path / "p0000", 0, 8)
    VectorShard(tmp_path / "p0000", 0, DIMENSIONS).close()


def test_an_event_of_another_partition_is_refused(tmp_path: Path, events: list[Event]) -> None:
    with closing(VectorShard(tmp_path / "p0001", 1, DIMENSIONS)) as shard:
        with pytest.raises(InvalidInput, match=r"partition 0 does not belong into .*p0001"):
            feed(shard, events)
        assert shard.position() == Position()


def test_upkeep_changes_files_and_nothing_else(tmp_path: Path) -> None:
    events = history(Random(5), 200)
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        for event in events:
            feed(shard, [event])
            shard.commit()
        left = shard.position(), shard.digest()
    table = lancedb.connect(tmp_path / "p0000").open_table("memories")
    assert len(list((tmp_path / "p0000" / "memories.lance" / "_transactions").iterdir())) > 150
    stats: Any = table.stats()
    assert stats["fragment_stats"]["num_fragments"] < 64
    assert 1 <= table.count_rows("memory_id IS NULL") < 64
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        assert (shard.position(), shard.digest()) == left


def test_a_crash_between_the_table_and_its_indices_is_made_good(tmp_path: Path, events: list[Event]) -> None:
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        feed(shard, events)
        left = shard.digest()
    table = lancedb.connect(tmp_path / "p0000").open_table("memories")
    for index in table.list_indices():
        table.drop_index(index.name)
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        assert shard.digest() == left
    indexed = {column for index in table.list_indices() for column in index.columns}
    assert indexed in (set(), {"subject", "memory_id"})
    table.checkout_latest()  # type: ignore[no-untyped-call]
    assert {column for index in table.list_indices() for column in index.columns} == {"subject", "memory_id"}


def test_a_folder_without_a_commit_is_a_new_shard(tmp_path: Path) -> None:
    (tmp_path / "p0000" / "memories.lance" / "data").mkdir(parents=True)
    (tmp_path / "p0000" / "memories.lance" / "data" / "half.lance").write_bytes(b"half")
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        assert shard.position() == Position()


def test_time_passes_between_versions_once(tmp_path: Path, events: list[Event]) -> None:
    """The same instant may close one version and open the next; LanceDB's filter sees one of them."""
    path = tmp_path / "p0000"
    with closing(VectorShard(path, 0, DIMENSIONS)) as shard:
        feed(shard, events)
    table = lancedb.connect(path).open_table("memories")
    closed = table.search().where("valid_to IS NOT NULL AND valid_to > valid_from").to_arrow().to_pylist()[0]

    def versions_at(moment: str) -> list[int]:
        valid = f"valid_from <= {moment} AND (valid_to IS NULL OR {moment} < valid_to)"
        mine = table.search().where(f"memory_id = '{closed['memory_id']}' AND {valid}")
        return [row["version"] for row in mine.to_arrow().to_pylist()]

    def at(column: str, microseconds: int) -> str:
        return f"TIMESTAMP '{(closed[column] + timedelta(microseconds=microseconds)).isoformat()}'"

    assert versions_at(at("valid_from", 0)) == [closed["version"]]
    assert versions_at(at("valid_to", -1)) == [closed["version"]]
    assert closed["version"] not in versions_at(at("valid_to", 0))
    assert closed["version"] not in versions_at(at("valid_from", -1))
