"""What every vector store has to hold, whatever it is made of. A store's tests subclass `StoreContract`.

class TestQdrant(StoreContract):
    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore: ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Lock

import numpy as np
import pytest
from msgspec.structs import replace

from memfold.memory.errors import InvalidInput, ShardDamaged
from memfold.projections.base import Position, fenced
from memfold.projections.vector import VectorShard
from memfold.projections.vector_fold import fold
from memfold.projections.vector_rows import Row
from memfold.schemas.records import Scope
from memfold.stores.conditions import inside, standing
from memfold.stores.meaning import passes
from memfold.stores.mirror_shard import MirrorShard
from memfold.stores.payload import values_of
from memfold.stores.port import Asked, Found, Test, VectorStore
from tests.projections.shard_contract import feed
from tests.strategies import DIMENSIONS, OWNERS, history

EVENTS = history(Random(5), 60)
ROWS = [row for row in fold(fenced(EVENTS, Position())[0], []) if row.vector is not None]
QUERY = values_of(ROWS[0])


def expected(tests: tuple[Test, ...], rows: list[Row] = ROWS) -> list[Row]:
    """The rows that pass, as plain Python sees it."""
    return [row for row in rows if all(passes(test, row) for test in tests)]


def cosine(row: Row) -> float:
    vector = values_of(row)
    return float(vector @ QUERY / np.linalg.norm(vector) / np.linalg.norm(QUERY))


def ids(found: list[Found]) -> list[str]:
    return sorted(one.row.row_id for one in found)


_MOMENT = ROWS[len(ROWS) // 2].valid_from
_ALEX = OWNERS[0]
FILTERS: dict[str, tuple[Test, ...]] = {
    "nothing": (),
    "current": standing(None),
    "as of a moment": (Test("valid_from", "lte", _MOMENT), Test("valid_to", "gt", _MOMENT)),
    "a subject": inside(_ALEX.tenant, _ALEX.subject, Scope("alex")),
    "the current ones of an agent": (*inside("acme", None, Scope(None, "planner")), *standing(None)),
    "a quoted id": (Test("agent_id", "eq", "a'b"),),
    "several": (Test("user_id", "in", ("alex", "nobody")), Test("kind", "in", ("health", "preferences"))),
    "one that nobody has": (Test("run_id", "eq", 'x" OR 1=1 --'),),
    "versions": (Test("version", "gte", 2),),
    "one version": (Test("version", "eq", 1),),
    "pending": (Test("pending", "eq", True),),
    "told before": (Test("updated_at", "lt", _MOMENT), Test("created_at", "gt", 0)),
}


class StoreContract:
    """`open_store` opens the store that belongs to a folder of the test; `new` as in `open_store` of stores/adapters.py."""

    EXACT = True
    """Whether a search without tests gives the nearest by the log's own vectors."""
    MAY_LOSE = 0.0
    """Of what it holds, what a search for all may leave out after rows were put again: an index that is a graph is not exact."""
    REOPENS = True
    """Whether what was put is there when the store is opened again."""

    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def filled(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
        with closing(cls.open_store(tmp_path_factory.mktemp("filled"), True)) as store:
            store.put(ROWS)
            yield store
            cls.emptied(store)

    @pytest.fixture
    def empty(self, tmp_path: Path) -> Iterator[VectorStore]:
        with closing(self.open_store(tmp_path, True)) as store:
            yield store
            self.emptied(store)

    @classmethod
    def emptied(cls, store: VectorStore) -> None:
        if cls.REOPENS:
            store.drop()

    def test_it_gives_back_what_it_was_given(self, filled: VectorStore) -> None:
        held = filled.held([row.row_id for row in ROWS])
        assert held == {row.row_id: replace(row, vector=None) for row in ROWS}

    def test_what_it_has_not_is_left_out(self, filled: VectorStore) -> None:
        known = ROWS[0].row_id
        assert [*filled.held(["nobody:1", known])] == [known]
        assert filled.held([]) == {}

    @pytest.mark.parametrize("name", FILTERS)
    def test_every_test_means_what_python_means(self, filled: VectorStore, name: str) -> None:
        found = filled.search(Asked(QUERY, ROWS[0].text, FILTERS[name], len(ROWS) + 5))
        assert ids(found) == sorted(row.row_id for row in expected(FILTERS[name]))
        assert {one.row.row_id: one.row for one in found} == {
            row.row_id: replace(row, vector=None) for row in expected(FILTERS[name])
        }

    def test_the_nearest_come_first_with_their_cosine(self, filled: VectorStore) -> None:
        if not self.EXACT:
            pytest.skip("this store embeds the text by itself")
        current = expected(standing(None))
        found = filled.search(Asked(QUERY, "", standing(None), 5))
        best = sorted((cosine(row) for row in current), reverse=True)[:5]
        assert [one.score for one in found] == pytest.approx(best, abs=2e-3)
        assert [cosine_of(one) for one in found] == pytest.approx([one.score for one in found], abs=2e-3)

    def test_putting_again_replaces(self, empty: VectorStore) -> None:
        row = next(row for row in ROWS if row.valid_to is None)
        closed = replace(row, valid_to=row.valid_from + 1, text="later")
        empty.put([row])
        empty.put([closed])
        empty.put([closed])
        assert empty.search(Asked(QUERY, row.text, standing(None), 5)) == []
        (found,) = empty.search(Asked(QUERY, row.text, (), 5))
        assert found.row == replace(closed, vector=None)

    def test_an_empty_store_finds_nothing(self, empty: VectorStore) -> None:
        assert empty.search(Asked(QUERY, "tea", standing(None), 5)) == []

    def test_it_goes_on_after_being_opened_again(self, tmp_path: Path) -> None:
        if not self.REOPENS:
            pytest.skip("this store lives in the memory of the process")
        with closing(self.open_store(tmp_path, True)) as store:
            store.put(ROWS[:3])
        with closing(self.open_store(tmp_path, False)) as store:
            store.put(ROWS[2:5])
            assert {*store.held([row.row_id for row in ROWS])} == {row.row_id for row in ROWS[:5]}
            store.drop()

    def test_a_collection_is_made_once_and_not_taken_from_others(self, tmp_path: Path) -> None:
        if not self.REOPENS:
            pytest.skip("this store lives in the memory of the process")
        with pytest.raises(ShardDamaged, match="gone"):
            self.open_store(tmp_path, False)
        with closing(self.open_store(tmp_path, True)):
            pass
        with pytest.raises(InvalidInput, match="there already"):
            self.open_store(tmp_path, True)
        with closing(self.open_store(tmp_path, False)) as store:
            store.drop()
        with closing(self.open_store(tmp_path, True)) as store:
            assert store.held([ROWS[0].row_id]) == {}
            store.drop()

    def test_a_mirror_of_it_has_the_digest_of_a_vector_shard(
        self, empty: VectorStore, tmp_path: Path
    ) -> None:
        with (
            closing(MirrorShard(tmp_path / "book", 0, DIMENSIONS, empty, Lock())) as mirror,
            closing(VectorShard(tmp_path / "plain", 0, DIMENSIONS)) as plain,
        ):
            for start in range(0, len(EVENTS), 7):
                feed(mirror, EVENTS[start : start + 7])
            feed(plain, EVENTS)
            assert mirror.differing() == []
            assert mirror.digest() == plain.digest()
            lost = replace(ROWS[0], text="something else")
            empty.put([lost])
            assert mirror.differing() == [lost.row_id]
            assert mirror.digest() != plain.digest()

    def test_a_mirror_that_was_killed_before_its_commit_puts_the_same_again(
        self, empty: VectorStore, tmp_path: Path
    ) -> None:
        book, turn = tmp_path / "book", Lock()
        with closing(MirrorShard(book, 0, DIMENSIONS, empty, turn)) as mirror:
            feed(mirror, EVENTS[:20])
        with closing(MirrorShard(book, 0, DIMENSIONS, Dying(empty), turn)) as mirror, pytest.raises(Killed):
            feed(mirror, EVENTS[20:50])
        with closing(MirrorShard(book, 0, DIMENSIONS, empty, turn)) as mirror:
            assert mirror.position().offset == EVENTS[19].offset
            for start in range(20, len(EVENTS), 3):
                feed(mirror, EVENTS[start : start + 3])
            assert mirror.differing() == []
            wanted = sorted(row.row_id for row in ROWS)
            everything = ids(empty.search(Asked(QUERY, "tea", (), 10_000)))
            assert sorted(empty.held(wanted)) == wanted
            lost = set(wanted) - set(everything)
            assert sorted([*everything, *lost]) == wanted
            assert len(lost) <= self.MAY_LOSE * len(wanted)


class Killed(BaseException):
    """Not an Exception: nothing in between may catch it, as with a kill."""


class Dying:
    """A store whose process is killed after half of a batch was put."""

    def __init__(self, store: VectorStore) -> None:
        self.held, self.search, self.drop, self.close = store.held, store.search, store.drop, store.close
        self._store = store

    def put(self, rows: Sequence[Row]) -> None:
        self._store.put(rows[: len(rows) // 2])
        raise Killed


def cosine_of(found: Found) -> float:
    return cosine(next(row for row in ROWS if row.row_id == found.row.row_id))
