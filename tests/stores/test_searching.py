"""A filter lets the same memories pass in a store as anywhere: compiled and the rest together, and in a search that over-fetches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from threading import Lock

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memfold.memory.errors import InvalidInput, ShardDamaged
from memfold.memory.filters import All, Condition, Filter, Not
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow, Vectors
from memfold.projections.vector_fold import micros, moment
from memfold.projections.vector_memory import memory_row
from memfold.projections.vector_rows import Row
from memfold.schemas.records import Scope
from memfold.stores.adapters import open_store
from memfold.stores.conditions import compiled, standing
from memfold.stores.meaning import passes
from memfold.stores.payload import FOREVER, payload_of, row_of, values_of
from memfold.stores.port import VectorStore
from memfold.stores.searching import NearestAsked, nearest
from tests.filter_meaning import Plain, filters, memories
from tests.filter_meaning import row_of as memory_of
from tests.projections.test_vector_conditions import stored, tree_of
from tests.stores.store_contract import ROWS, cosine
from tests.strategies import DIMENSIONS

TURN = Lock()


@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(filters, memories)
def test_tests_and_rest_together_mean_what_the_filter_says(given: Plain, memory: Plain) -> None:
    tree, row = tree_of(given), memory_of(memory, "7")
    tests, rest = compiled(tree)
    together = all(passes(test, stored(row)) for test in tests) and (rest is None or matches(rest, row))
    assert together == matches(tree, row)


def test_what_stands_side_by_side_is_given_to_the_store_and_nothing_else() -> None:
    own, other = Condition("user_id", "eq", "alex"), Condition("metadata.topic", "eq", "tea")
    assert compiled(All((own, other, Not(own)))) == ((("user_id", "eq", "alex"),), All((other, Not(own))))
    # An empty kind is none at all, and a store holds it as a text.
    assert compiled(All((Condition("kind", "eq", ""),))).tests == ()


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Sixty random memories, always the same."""
    drawn: list[MemoryRow] = []

    @settings(max_examples=60, derandomize=True, database=None, deadline=None)
    @given(memories)
    def draw(memory: Plain) -> None:
        drawn.append(memory_of(memory, str(len(drawn))))

    draw()
    return [stored(row) for row in drawn]


@pytest.fixture(scope="module")
def store(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    config = {"path": str(tmp_path_factory.mktemp("faiss")), "collection_name": "memories"}
    with closing(open_store("faiss", config, DIMENSIONS, True)) as opened:
        opened.put(rows)
        yield opened


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
)
@given(filters, st.integers(1, 7))
def test_a_search_leaves_nothing_out(rows: list[Row], store: VectorStore, given: Plain, limit: int) -> None:
    tree = tree_of(given)
    query = values_of(ROWS[0])
    best = sorted((cosine(row) for row in rows if matches(tree, memory_row(row))), reverse=True)[:limit]
    found = nearest(store, TURN, _asked(query, tree, limit))
    assert [hit.score for hit in found] == pytest.approx(best, abs=1e-3)
    assert all(matches(tree, hit.row) for hit in found)


def test_a_moment_finds_the_version_of_then(store: VectorStore, rows: list[Row]) -> None:
    first = min(row.valid_from for row in rows)
    asked = replace(_asked(values_of(ROWS[0]), All(), 100), as_of=moment(first) - timedelta(seconds=1))
    assert nearest(store, TURN, asked) == []
    then = nearest(store, TURN, replace(asked, as_of=moment(first)))
    assert {hit.row.memory_id for hit in then} == {row.memory_id for row in rows if row.valid_from == first}
    assert standing(moment(first))[0].value == micros(moment(first)) == first


def test_a_vector_without_a_direction_is_refused(store: VectorStore) -> None:
    for vector in (np.zeros(DIMENSIONS, np.float32), np.full(DIMENSIONS, np.nan, np.float32)):
        with pytest.raises(InvalidInput, match="no direction"):
            nearest(store, TURN, _asked(vector, All(), 3))


def test_a_row_comes_back_from_numbers_that_became_floats() -> None:
    for row in ROWS:
        payload = {
            name: float(value) if type(value) is int else value for name, value in payload_of(row).items()
        }
        assert row_of(payload) == replace(row, vector=None)
        assert int(payload["valid_to"]) == (FOREVER if row.valid_to is None else row.valid_to)
        assert row_of(msgspec.json.decode(msgspec.json.encode(payload))) == replace(row, vector=None)


def test_what_memfold_did_not_write_is_named() -> None:
    with pytest.raises(ShardDamaged, match="another program writes to the same collection"):
        row_of({"page": 3})


def _asked(vector: Vectors, tree: Filter, limit: int) -> NearestAsked:
    return NearestAsked("acme", "subject", Scope(), vector.astype("<f4").tobytes(), "", limit, tree)
