"""What every shard of a projection has to hold, whatever it is made of. A store's tests subclass `ShardContract`.

class TestVectorShard(ShardContract):
    @staticmethod
    def open_shard(path: Path) -> Shard: ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memfold.memory.errors import ShardLocked
from memfold.projections.base import Position, Shard, fenced
from memfold.schemas.records import Event
from tests.strategies import batches, histories, history, randoms

# The same properties run under every store's class, and each example opens real files.
contract = settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


def feed(shard: Shard, events: Sequence[Event]) -> None:
    """One batch of the log, as a worker or a replay applies it."""
    counted, position = fenced(events, shard.position())
    if position != shard.position():
        shard.apply(counted, position)
        shard.keep_up()


class ShardContract:
    """`open_shard` opens the shard at a path for writing, and makes it if it is not there."""

    @staticmethod
    def open_shard(path: Path) -> Shard:
        raise NotImplementedError

    @contextmanager
    def shard(self) -> Iterator[Shard]:
        with TemporaryDirectory() as folder, closing(self.open_shard(Path(folder) / "p0000")) as shard:
            yield shard

    def digest_of(self, events: Sequence[Event]) -> str:
        with self.shard() as shard:
            feed(shard, events)
            return shard.digest()

    def test_a_new_shard_has_applied_nothing(self, tmp_path: Path) -> None:
        with (
            closing(self.open_shard(tmp_path / "p0000")) as one,
            closing(self.open_shard(tmp_path / "p0001")) as two,
        ):
            assert one.position() == Position()
            assert one.digest() == two.digest()

    def test_a_memory_changes_the_digest(self) -> None:
        events = [event for event in history(Random(1), 40) if event.body.operations and event.body.relations]
        assert len({self.digest_of([]), self.digest_of(events[:1]), self.digest_of(events[1:2])}) == 3

    @contract
    @given(histories(), randoms())
    def test_batches_do_not_matter(self, events: list[Event], random: Random) -> None:
        with self.shard() as shard:
            for batch in batches(events, random):
                feed(shard, batch)
            assert shard.digest() == self.digest_of(events)

    @contract
    @given(histories())
    def test_duplicates_and_zombies_count_once(self, events: list[Event]) -> None:
        counted, _ = fenced(events, Position())
        assert self.digest_of(events) == self.digest_of(counted)

    @contract
    @given(histories(), st.integers(0, 16), st.integers(0, 16))
    def test_applying_again_changes_nothing(self, events: list[Event], stop: int, back: int) -> None:
        with self.shard() as shard:
            feed(shard, events[:stop])
            feed(shard, events[max(0, stop - back) : stop])
            feed(shard, events[max(0, stop - back) :])
            assert shard.digest() == self.digest_of(events)
            assert shard.position() == fenced(events, Position())[1]

    @contract
    @given(histories(), randoms())
    def test_it_goes_on_after_being_opened_again(self, events: list[Event], random: Random) -> None:
        left = Position(), self.digest_of([])
        with TemporaryDirectory() as folder:
            for batch in batches(events, random):
                with closing(self.open_shard(Path(folder) / "p0000")) as shard:
                    assert (shard.position(), shard.digest()) == left
                    feed(shard, batch)
                    left = shard.position(), shard.digest()
        assert left[1] == self.digest_of(events)

    def test_a_position_moves_without_events(self, tmp_path: Path) -> None:
        moved = Position(offset=7, command_offset=3, applied=1, ignored=2, quarantined=4, erased=5)
        with closing(self.open_shard(tmp_path / "p0000")) as shard:
            before = shard.digest()
            shard.apply([], moved)
            assert (shard.position(), shard.digest()) == (moved, before)
        with closing(self.open_shard(tmp_path / "p0000")) as shard:
            assert shard.position() == moved

    def test_a_second_writer_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "p0000"
        with closing(self.open_shard(path)), pytest.raises(ShardLocked, match="p0000"):
            self.open_shard(path)
        self.open_shard(path).close()

    def test_it_may_be_used_from_another_thread(self) -> None:
        events = history(Random(2), 20)
        with self.shard() as shard:
            other = Thread(target=feed, args=(shard, events))
            other.start()
            other.join()
            assert shard.digest() == self.digest_of(events)
