"""Which files are the log: names, and the cover among what crashes leave."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_segments import Segment, cover, read_covers, segments

TOPIC = "memfold.events"
HERE = Path("archive")


def segment(first: int, last: int, partition: int = 0, directory: Path = HERE) -> Segment:
    return Segment(directory, TOPIC, partition, first, last)


def spans(chosen: list[Segment]) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in chosen]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.randoms())
def test_leftovers_of_merges_do_not_count(lengths: list[int], random: Random) -> None:
    """Files as merges leave them: any of the parts may still stand beside the whole."""
    ends = [sum(lengths[: n + 1]) for n in range(len(lengths))]
    whole = [segment(end - length, end - 1) for length, end in zip(lengths, ends, strict=True)]
    leftovers = []
    for one in whole:
        cut = random.randint(one.first, one.last)
        leftovers += [segment(one.first, cut)] if random.random() < 0.5 and cut < one.last else []
        leftovers += [segment(cut, one.last)] if random.random() < 0.5 and cut > one.first else []
    found = whole + leftovers
    random.shuffle(found)
    assert cover(found) == whole


def test_nothing_covers_nothing() -> None:
    assert cover([]) == []


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ([(0, 9), (20, 29)], "10 to 19"),
        ([(5, 9)], "0 to 4"),
        ([(0, 4), (0, 9), (11, 12), (13, 20)], "10 to 10"),
    ],
)
def test_missing_offsets_are_named(found: list[tuple[int, int]], missing: str) -> None:
    with pytest.raises(
        ShardDamaged, match=f"{TOPIC}/0: no segment in archive holds the offsets {missing}; the next"
    ):
        cover([segment(*span) for span in found])


def test_an_overlap_that_no_crash_leaves_is_named() -> None:
    with pytest.raises(
        ShardDamaged, match=r"offsets 5 to 14\) overlaps other segments, which hold the offsets up to 9"
    ):
        cover([segment(0, 9), segment(5, 14)])


def test_partitions_have_covers_of_their_own(tmp_path: Path) -> None:
    directory = tmp_path / TOPIC
    directory.mkdir()
    for one in (segment(0, 9, 0, directory), segment(0, 3, 100_000, directory), segment(0, 4, 0, directory)):
        one.path.touch()
    for name in (
        "notes.txt",
        ".memfold.events-00000.lock",
        f".{segment(10, 12).path.name}.tmp",
        "other-00000.parquet",
    ):
        (directory / name).touch()
    covers = read_covers(tmp_path, TOPIC)
    assert {partition: spans(chosen) for partition, chosen in covers.items()} == {
        0: [(0, 9)],
        100_000: [(0, 3)],
    }
    assert len(segments(tmp_path, TOPIC)) == 3


def test_a_listing_that_missed_a_segment_while_it_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / TOPIC
    directory.mkdir()
    kept, replaced = segment(0, 9, 0, directory).path.name, segment(10, 14, 0, directory).path.name
    listings = [[kept], [kept, replaced], [kept, replaced]]
    monkeypatch.setattr("memfold.projections.archive_segments.os.listdir", lambda _: listings.pop(0))
    assert spans(read_covers(tmp_path, TOPIC)[0]) == [(0, 9), (10, 14)]


def test_a_topic_that_was_never_archived_has_none(tmp_path: Path) -> None:
    assert read_covers(tmp_path, TOPIC) == {}
