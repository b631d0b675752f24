"""Whatever SQL a caller writes: it reaches the views and nothing else, and it stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from memfold.audit.callers_sql import CallersSQL
from memfold.audit.errors import QueryStopped
from memfold.memory.errors import InvalidInput
from memfold.projections.archive_segments import topic_directory
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from tests.audit.asking import LIFE
from tests.audit.full import asked, rows
from tests.audit.logs import log_of

SECRET = pa.table({"n": [1, 2, 3]})


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.fixture
def sql() -> Iterator[CallersSQL]:
    with closing(CallersSQL(seconds=60, rows=1000)) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('{segment}')",
        "SELECT * FROM parquet_metadata('{segment}')",
        "SELECT * FROM '{segment}'",
        "SELECT * FROM query('SELECT * FROM ''{segment}''')",
        "SELECT * FROM read_parquet('https://127.0.0.1/x.parquet')",
        "SELECT * FROM read_json('s3://bucket/x.json')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT getenv('HOME')",
        "SELECT * FROM log_events",
        "SELECT * FROM SECRET",
        "SELECT * FROM read_duckdb('{segment}')",
        "COPY (SELECT 1) TO '{folder}/x.csv'",
        "COPY (SELECT * FROM events) TO '{folder}/x.parquet'",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{folder}/x.csv''')",
        "ATTACH '{folder}/x.db'",
        "ATTACH ':memory:' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '90GB'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET memory_limit",
        "PRAGMA enable_external_access = true",
        "CREATE TABLE t AS SELECT 1",
        "CREATE OR REPLACE VIEW events AS SELECT 1",
        "DROP VIEW events",
        "EXPORT DATABASE '{folder}'",
        "PREPARE p AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT",
        "no SQL at all",
        "",
        "SELECT no_such_column FROM versions",
        "SELECT 'a'::INT",
    ],
)
async def test_it_is_refused_with_what_was_wrong(tmp_path: Path, keys: KeyStore, statement: str) -> None:
    """Also a file of the archive itself, which the audit's own connection may read: other tenants' rows are in it."""
    with asked(tmp_path, log_of(LIFE, keys), keys, archived=len(LIFE)) as audit:
        segment = next(topic_directory(tmp_path, EVENTS).glob("*.parquet"))
        before = files(tmp_path)
        with pytest.raises(InvalidInput):
            await audit.sql(statement.format(segment=segment, folder=tmp_path))
        assert files(tmp_path) == before
        assert await rows(audit, "SELECT count(*) FROM events") == [(9,)], "the connection lives on"


def test_a_cross_join_is_stopped() -> None:
    with closing(CallersSQL(seconds=0.3)) as sql:
        big = "SELECT count(*) FROM range(4000) a, range(4000) b, range(4000) c WHERE hash(a.range, b.range, c.range) % 7 = 9"
        with pytest.raises(QueryStopped, match=r"longer than 0\.3 s"):
            sql.query(big, {})
        assert sql.query("SELECT 1 AS one", {}).to_pylist() == [{"one": 1}]


@pytest.mark.parametrize("count", [1000, 1001])
def test_rows_are_limited_and_never_cut(sql: CallersSQL, count: int) -> None:
    if count == 1000:
        assert len(sql.query(f"SELECT * FROM range({count})", {})) == count
    else:
        with pytest.raises(QueryStopped, match="more than 1,000 rows"):
            sql.query("SELECT * FROM range(400) a, range(400) b, range(400) c", {})


def test_memory_is_limited(sql: CallersSQL) -> None:
    with pytest.raises(QueryStopped, match="memory"):
        sql.query("SELECT list(a.range) FROM range(200000000) a", {})


def test_a_view_that_the_text_does_not_name_is_an_error_not_empty(sql: CallersSQL) -> None:
    with pytest.raises(InvalidInput):
        sql.query("SELECT * FROM query_table('ver' || 'sions')", {})


def test_order_is_kept(sql: CallersSQL) -> None:
    found = sql.query("SELECT range AS n FROM range(1000) ORDER BY hash(range)", {}).column("n").to_pylist()
    assert found != sorted(found)
    assert (
        found
        == sql.query("SELECT range AS n FROM range(1000) ORDER BY hash(range)", {}).column("n").to_pylist()
    )
