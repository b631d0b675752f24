"""The audit connection reads the archive and can do nothing else, whatever the SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from memfold.audit.connection import ReadOnlySQL
from memfold.memory.errors import InvalidInput

# A folder that a pattern would match otherwise than literally.
FOLDER = "ar[c]hive*"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / FOLDER
    folder.mkdir()
    pq.write_table(pa.table({"n": [1, 2, 3]}), folder / "a.parquet")
    pq.write_table(pa.table({"n": [9]}), tmp_path / "outside.parquet")
    return folder


@pytest.fixture
def sql(archive: Path) -> Iterator[ReadOnlySQL]:
    with closing(ReadOnlySQL(archive)) as connection:
        yield connection


def test_it_reads_listed_files_and_tables(sql: ReadOnlySQL, archive: Path) -> None:
    query = "SELECT sum(n) AS total FROM (SELECT n FROM read_parquet($files) UNION ALL SELECT n FROM more)"
    files = {"files": [str(archive / "a.parquet")]}
    assert sql.query(query, files, {"more": pa.table({"n": [10]})}).to_pylist() == [{"total": 16}]
    with pytest.raises(duckdb.CatalogException):
        sql.query("SELECT * FROM more")
    with pytest.raises(duckdb.CatalogException):
        sql.query('SELECT * FROM "table"', tables={"more": pa.table({"n": [10]})})


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('{outside}')",
        "SELECT * FROM read_parquet('{archive}/../outside.parquet')",
        "SELECT * FROM read_parquet('https://127.0.0.1/x.parquet')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{archive}/b.csv''')",
        "SELECT getenv('HOME')",
    ],
)
def test_a_select_does_not_leave_the_archive(sql: ReadOnlySQL, archive: Path, statement: str) -> None:
    outside = archive.parent / "outside.parquet"
    with pytest.raises(duckdb.Error):
        sql.query(statement.format(archive=archive, outside=outside))


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{archive}/forged.parquet'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "ATTACH '{archive}/x.db'",
        "ATTACH ':memory:' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA enable_external_access = true",
        "CREATE TABLE t AS SELECT 1",
        "CREATE SECRET s (TYPE http)",
        "EXPORT DATABASE '{archive}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{archive}/forged.parquet'",
        "PREPARE p AS SELECT 1",
        "CALL pragma_version()",
        "CHECKPOINT",
        "SELECT 1; COPY (SELECT 1) TO '{archive}/forged.parquet'",
        "SELECT 1; SELECT 2",
        "-- nothing",
        "",
    ],
)
def test_anything_but_one_select_is_refused(sql: ReadOnlySQL, archive: Path, statement: str) -> None:
    with pytest.raises(InvalidInput, match="one SELECT at a time"):
        sql.query(statement.format(archive=archive))
    assert [path.name for path in archive.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{outside}'",
        "ATTACH '{outside}.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "SET memory_limit = '90GB'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET lock_configuration = false",
        "RESET memory_limit",
        "EXPORT DATABASE '{outside}'",
        "CREATE PERSISTENT SECRET s (TYPE http)",
    ],
)
def test_duckdb_itself_is_locked_as_well(sql: ReadOnlySQL, archive: Path, statement: str) -> None:
    """Even past the check of the statement, as if that had a hole."""
    with pytest.raises(duckdb.Error):
        sql._duckdb.execute(statement.format(outside=archive.parent / "new"))
    assert sorted(path.name for path in archive.parent.iterdir()) == sorted([FOLDER, "outside.parquet"])


def test_memory_is_limited(archive: Path) -> None:
    with (
        closing(ReadOnlySQL(archive, memory_limit="20MB")) as small,
        pytest.raises(duckdb.OutOfMemoryException),
    ):
        small.query("SELECT list(a.range) FROM range(5000000) a")


def test_values_are_parameters(sql: ReadOnlySQL) -> None:
    hostile = "' OR 1=1 --"
    table = pa.table({"id": ["x", hostile]})
    assert sql.query("SELECT id FROM t WHERE id = $id", {"id": hostile}, {"t": table}).to_pylist() == [
        {"id": hostile}
    ]
