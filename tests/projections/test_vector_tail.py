"""The tail of a vector shard: what is read of it is a whole number of batches, whatever became of its file or its writer."""

from __future__ import annotations

import logging
import os
import shutil
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lancedb.table import AsyncTable
from msgspec import structs

from memfold.memory.errors import InvalidInput, ShardDamaged, ShardLocked
from memfold.memory.ports import MemoryRow
from memfold.projections import vector, vector_reader
from memfold.projections.base import Position, fenced
from memfold.projections.generations import Generations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_fold import fold
from memfold.projections.vector_index import LanceMemoryIndex, memory_rows
from memfold.projections.vector_memory import memory_row
from memfold.projections.vector_served import ServedShard
from memfold.projections.vector_tail import Frame, Tail, TailFile, path_of, read_on, taken_up
from memfold.schemas.records import Event
from tests.projections.shard_contract import contract, feed
from tests.strategies import DIMENSIONS, history

EVENTS = fenced(history(Random(4), 90), Position())[0]


def frames_of(events: Sequence[Event], size: int = 3) -> list[Frame]:
    """Of batches that know nothing of each other: what they hold does not matter here."""
    batches = [events[start : start + size] for start in range(0, len(events), size)]
    return [Frame(Position(batch[-1].offset), fold(batch, []), []) for batch in batches]


FRAMES = frames_of(EVENTS)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """The bytes of a tail, and where each of its frames ends."""
    folder = tmp_path_factory.mktemp("tail")
    file = TailFile(folder, -1)
    ends = [file.append(frame) for frame in FRAMES]
    return path_of(folder, -1).read_bytes(), ends


def expected(count: int, length: int) -> Tail:
    """The first frames over each other."""
    empty = Tail.above(Position())
    return empty.grown(FRAMES[:count], length) if count else empty


def put(folder: Path, data: bytes) -> Path:
    path = path_of(folder, -1)
    path.write_bytes(data)
    return path


@contract
@given(cut=st.integers(0, 10**9))
def test_what_is_cut_anywhere_is_read_up_to_the_last_whole_frame(
    written: tuple[bytes, list[int]], tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    data, ends = written
    folder, cut = tmp_path_factory.mktemp("cut"), cut % (len(data) + 1)
    put(folder, data[:cut])
    whole = [end for end in ends if end <= cut]
    wanted = expected(len(whole), whole[-1] if whole else 0)
    assert read_on(folder, Tail.above(Position())) == wanted == taken_up(folder, Position())


@contract
@given(at=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_one_flipped_bit_is_never_read(
    written: tuple[bytes, list[int]], tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    data, ends = written
    folder, at = tmp_path_factory.mktemp("flipped"), at % len(data)
    flipped = bytearray(data)
    flipped[at] ^= 1 << bit
    path = put(folder, bytes(flipped))
    whole = [end for end in ends if end <= at]
    with pytest.raises(ShardDamaged, match=rf"{path.name} is damaged at byte {whole[-1] if whole else 0};"):
        read_on(folder, Tail.above(Position()))
    assert taken_up(folder, Position()) == expected(len(whole), whole[-1] if whole else 0)


@contract
@given(cuts=st.lists(st.integers(0, 10**9), max_size=6))
def test_reading_on_is_reading_it_all(
    written: tuple[bytes, list[int]], tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    data, ends = written
    folder, tail = tmp_path_factory.mktemp("on"), Tail.above(Position())
    for cut in sorted(cut % len(data) for cut in cuts):
        put(folder, data[:cut])
        found = read_on(folder, tail)
        assert found is not None
        tail = found
    put(folder, data)
    assert read_on(folder, tail) == expected(len(FRAMES), ends[-1])


def test_without_a_file_there_is_nothing_and_that_is_told(tmp_path: Path) -> None:
    assert read_on(tmp_path, Tail.above(Position(4))) is None
    assert taken_up(tmp_path, Position(4)) == Tail.above(Position(4))


@pytest.mark.parametrize("made", [True, False], ids=["removed", "made"])
def test_a_file_that_another_writer_has_touched_is_refused(tmp_path: Path, made: bool) -> None:
    mine = TailFile(tmp_path, 7)
    if made:
        mine.append(FRAMES[0])
        path_of(tmp_path, 7).unlink()
    else:
        TailFile(tmp_path, 7).append(FRAMES[0])
    with pytest.raises(ShardLocked, match=f"another writer has {'removed' if made else 'made'} .*tail-7"):
        mine.append(FRAMES[1])


def test_half_a_frame_that_failed_is_gone_before_the_next_one(tmp_path: Path) -> None:
    file = TailFile(tmp_path, -1)
    file.append(FRAMES[0])
    with path_of(tmp_path, -1).open("ab") as torn:
        torn.write(b"half of a frame")
    file.append(FRAMES[1])
    found = read_on(tmp_path, Tail.above(Position()))
    assert found is not None
    assert found.rows == expected(2, 0).rows
    os.truncate(path_of(tmp_path, -1), 5)
    with pytest.raises(ShardDamaged, match="has 5 bytes of"):
        file.append(FRAMES[2])


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
