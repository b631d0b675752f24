"""The file of a vector shard's tail: what is read of it is a whole number of batches, whatever became of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import ShardDamaged, ShardLocked
from memfold.projections.base import Position, fenced
from memfold.projections.vector_fold import fold
from memfold.projections.vector_tail import Frame, Tail, TailFile, path_of, read_on, taken_up
from memfold.schemas.records import Event
from tests.projections.shard_contract import contract
from tests.strategies import history

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
