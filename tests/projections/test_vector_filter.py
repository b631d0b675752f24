"""Whatever an id is, a filter finds exactly it: checked against LanceDB's own parser, with and without an index."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import lancedb
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lancedb.index import BTree

from memfold.projections.vector_filter import equal, every, inside, literal, one_of
from memfold.schemas.records import Scope
from tests.strategies import ids

HOSTILE = [
    "alex",
    "' OR 1=1 --",
    "'; DROP TABLE memories; --",
    "\\' OR true OR x = '",
    "\\",
    "''",
    '"',
    "`",
    "nul\0here",
    "line\nbreak\r",
    "%",
    "_",
    "$1",
    "?",
    "{}",
    "/* */",
    "☕ e\u0301",
    "\u2019 OR 1=1",
    "\ufeff",
    "\U0001f600",
    "\x1a",
]


@pytest.fixture(params=[False, True], ids=["scanned", "indexed"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> lancedb.table.Table:
    rows = pa.table({"user_id": [*HOSTILE, None], "actor_id": ["bot"] * (len(HOSTILE) + 1)})
    table = lancedb.connect(tmp_path).create_table("memories", rows)
    if request.param:
        table.create_index("user_id", config=BTree())
    return table


def found(table: lancedb.table.Table, condition: str) -> list[str | None]:
    column: list[str | None] = table.search().where(condition).to_arrow()["user_id"].to_pylist()
    return column


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_id_finds_itself_only(table: lancedb.table.Table, value: str) -> None:
    assert found(table, equal("user_id", value)) == [value]
    assert found(table, every(equal("actor_id", "bot"), *inside(Scope(user_id=value)))) == [value]
    assert found(table, every(equal("actor_id", value), "user_id IS NOT NULL")) == []


def test_several_at_once(table: lancedb.table.Table) -> None:
    assert sorted(map(str, found(table, one_of("user_id", HOSTILE)))) == sorted(HOSTILE)
    assert found(table, one_of("user_id", ["nobody", HOSTILE[1]])) == [HOSTILE[1]]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids())
def test_any_id_finds_itself_or_nothing(table: lancedb.table.Table, value: str) -> None:
    assert found(table, equal("user_id", value)) == [value for _ in range(value in HOSTILE)]


async def test_the_async_reader_parses_it_in_the_same_way(table: lancedb.table.Table, tmp_path: Path) -> None:
    database = await lancedb.connect_async(tmp_path, read_consistency_interval=timedelta(0))
    opened = await database.open_table("memories")
    queries = [opened.query().where(equal("user_id", value)).to_arrow() for value in HOSTILE]
    answers = await asyncio.gather(*queries)
    assert [answer["user_id"].to_pylist() for answer in answers] == [[value] for value in HOSTILE]


@given(st.text())
def test_a_literal_is_one_quoted_run(value: str) -> None:
    inner = literal(value)[1:-1]
    assert inner.replace("''", "'") == value
    assert "'" not in inner.replace("''", "")


def test_a_scope_without_ids_asks_for_nothing() -> None:
    assert inside(Scope()) == []
