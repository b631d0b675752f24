"""A vector shard with a tail above its table: what the next writer takes up of it, and what readers see beside its writer."""

from __future__ import annotations

import logging
import shutil
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from lancedb.table import AsyncTable
from msgspec import structs

from memfold.memory.errors import InvalidInput, ShardDamaged
from memfold.memory.ports import MemoryRow
from memfold.projections import vector, vector_reader
from memfold.projections.base import Position, fenced
from memfold.projections.generations import Generations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_fold import fold
from memfold.projections.vector_index import LanceMemoryIndex, memory_rows
from memfold.projections.vector_memory import memory_row
from memfold.projections.vector_served import ServedShard
from memfold.projections.vector_tail import Tail, read_on
from memfold.schemas.records import Event
from tests.projections.shard_contract import feed
from tests.strategies import DIMENSIONS, history

EVENTS = fenced(history(Random(4), 90), Position())[0]

Version = tuple[str, int, datetime | None]
"""Of which memory, which one, and when it ended."""


def tails(path: Path) -> list[str]:
    return sorted(found.name for found in path.glob("tail-*"))


def left_by_a_kill(tmp_path: Path, events: Sequence[Event]) -> Path:
    """A shard as kill -9 leaves it between two batches: its files while it is open."""
    with closing(VectorShard(tmp_path / "open", 0, DIMENSIONS)) as shard:
        for event in events:
            feed(shard, [event])
        shutil.copytree(tmp_path / "open", tmp_path / "p0000")
    return tmp_path / "p0000"


def digest_of(tmp_path: Path, events: Sequence[Event]) -> str:
    with closing(VectorShard(tmp_path / "fresh", 0, DIMENSIONS)) as shard:
        feed(shard, events)
        return shard.digest()


def test_the_next_writer_takes_up_what_a_killed_one_appended(tmp_path: Path) -> None:
    path = left_by_a_kill(tmp_path, EVENTS[:40])
    assert tails(path) == ["tail--1"]
    with closing(VectorShard(path, 0, DIMENSIONS)) as shard:
        assert shard.position().offset == EVENTS[39].offset
        assert tails(path) == []
        feed(shard, EVENTS)
        assert tails(path) == [f"tail-{EVENTS[39].offset}"]
        assert shard.digest() == digest_of(tmp_path, EVENTS)
    assert tails(path) == []


def test_a_batch_that_is_refused_leaves_the_tail_as_it_was(tmp_path: Path) -> None:
    at = next(
        n for n, event in enumerate(EVENTS) if [done.op for done in event.body.operations] == ["UPDATE"]
    )
    update = EVENTS[at].body.operations[0]
    no_vector = structs.replace(update, vector=struct.pack("<4e", 1, float("nan"), 0, 0))
    bad = structs.replace(EVENTS[at], body=structs.replace(EVENTS[at].body, operations=[no_vector]))
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        feed(shard, EVENTS[:at])
        with pytest.raises(InvalidInput, match="NaN"):
            feed(shard, [bad])
        assert shard.digest() == digest_of(tmp_path, EVENTS[:at])


def test_a_damaged_tail_is_folded_from_the_log_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left_by_a_kill(tmp_path, EVENTS[:40])
    data = bytearray((path / "tail--1").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "tail--1").write_bytes(data)
    with (
        caplog.at_level(logging.WARNING, "memfold.projections.vector_tail"),
        closing(VectorShard(path, 0, DIMENSIONS)) as shard,
    ):
        assert -1 < shard.position().offset < EVENTS[39].offset
        assert "tail--1 is damaged at byte" in caplog.text
        feed(shard, EVENTS)
        assert shard.digest() == digest_of(tmp_path, EVENTS)


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    return Generations(tmp_path / "served", "vector")


def in_order(rows: Iterable[MemoryRow]) -> list[Version]:
    # Of one version there is one row, so the third is never compared.
    return sorted((row.memory_id, row.version, row.valid_to) for row in rows)


async def rows_at(shard: ServedShard) -> tuple[int, list[Version]]:
    """Where a reader stands, and all versions that it sees."""
    found = await shard.table.query().where(shard.beneath("memory_id IS NOT NULL")).to_arrow()
    seen = [*memory_rows(found), *shard.above(lambda row: True)]
    return shard.tail.position.offset, in_order(seen)


NOTHING: tuple[int, list[Version]] = (-1, [])


def folded(until: int) -> list[Version]:
    rows = map(memory_row, fold([event for event in EVENTS if event.offset <= until], []))
    return in_order(rows)


async def test_a_reader_beside_a_writer_sees_the_fold_of_some_position_and_never_an_older_one(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits come every few rows, in another thread, so they fall between any two steps of the reader's."""
    monkeypatch.setattr(vector, "ROWS", 5)
    index = LanceMemoryIndex(generations, 1)
    over = threading.Event()

    def write() -> None:
        try:
            with closing(VectorShard(generations.shard_path("g0001", 0), 0, DIMENSIONS)) as shard:
                for event in EVENTS:
                    feed(shard, [event])
        finally:
            over.set()

    writer = threading.Thread(target=write)
    writer.start()
    positions = [-1]
    while positions[-1] < EVENTS[-1].offset:
        last = over.is_set()
        position, seen = await index.tables.ask(0, rows_at, NOTHING)
        assert seen == folded(position)
        assert position >= positions[-1]
        positions.append(position)
        assert not last or position == EVENTS[-1].offset
    writer.join()
    await index.close()
    assert len(set(positions)) > 5


async def test_a_commit_between_a_version_and_its_tail_is_not_missed(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = LanceMemoryIndex(generations, 1)
    with closing(VectorShard(generations.shard_path("g0001", 0), 0, DIMENSIONS)) as shard:
        feed(shard, EVENTS[:20])
        late: Iterator[None] = iter([None])

        def committed_first(folder: Path, tail: Tail) -> Tail | None:
            """The tail is committed, and so gone, right after the reader has learnt its name."""
            for _ in late:
                shard.commit()
            return read_on(folder, tail)

        monkeypatch.setattr(vector_reader, "read_on", committed_first)
        assert await index.position(0) == EVENTS[19].offset
        monkeypatch.undo()
        feed(shard, EVENTS)
        assert (await index.tables.ask(0, rows_at, NOTHING)) == (EVENTS[-1].offset, folded(EVENTS[-1].offset))
    await index.close()


async def test_a_reader_names_a_damaged_tail_and_goes_on_after_the_worker_began_again(
    generations: Generations,
) -> None:
    index, path = LanceMemoryIndex(generations, 1), generations.shard_path("g0001", 0)
    shard = VectorShard(path, 0, DIMENSIONS)
    feed(shard, EVENTS[:20])
    data = bytearray((path / "tail--1").read_bytes())
    data[40] ^= 4
    (path / "tail--1").write_bytes(data)
    with pytest.raises(ShardDamaged, match="tail--1 is damaged at byte 0; start the worker"):
        await index.position(0)
    shard.close()  # which commits what it has in memory
    assert await index.position(0) == EVENTS[19].offset
    await index.close()


async def test_a_long_query_keeps_its_version(generations: Generations) -> None:
    index = LanceMemoryIndex(generations, 1)
    with closing(VectorShard(generations.shard_path("g0001", 0), 0, DIMENSIONS)) as shard:
        feed(shard, EVENTS[:30])

        async def slow(seen: ServedShard) -> tuple[int, int]:
            async def count(table: AsyncTable) -> int:
                return await table.count_rows(seen.beneath("memory_id IS NOT NULL"))

            before = await count(seen.table)
            feed(shard, EVENTS)
            shard.commit()
            return before, await count(seen.table)

        before, after = await index.tables.ask(0, slow, (0, 1))
        assert before == after
    await index.close()
