"""A DuckDB connection that can read the archive and do nothing else.

Two locks. DuckDB itself: no file outside the archive directory, no network, no extension, no setting, limits of memory and
threads, nothing spilled to disk. And `query` accepts one SELECT only, because DuckDB's allowed directories are writable: without
this a COPY could put a forged segment into the archive.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from memfold.memory.errors import InvalidInput

THREADS = 2
MEMORY_LIMIT = "512MB"


def locked(
    threads: int = THREADS, memory_limit: str = MEMORY_LIMIT
) -> dict[str, str | bool | int | float | list[str]]:
    """The settings of a connection that loads nothing, spills nothing to disk and sees no variable of this program."""
    return {
        "threads": threads,
        "memory_limit": memory_limit,
        "temp_directory": "",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }


def one_select(sql: str) -> None:
    """Raises InvalidInput for anything but one SELECT, and for what does not parse."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as wrong:
        raise InvalidInput(f"this is no SQL that DuckDB understands: {wrong}") from wrong
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise InvalidInput(
            "the audit connection takes one SELECT at a time, and nothing that changes anything"
        )


class ReadOnlySQL:
    """SQL over the Parquet files under one directory and over Arrow tables that the caller passes. Safe to share between threads."""

    def __init__(self, archive: Path, *, threads: int = THREADS, memory_limit: str = MEMORY_LIMIT) -> None:
        self._turn = threading.Lock()
        self._duckdb = duckdb.connect(":memory:", config=locked(threads, memory_limit))
        self._duckdb.execute("SET allowed_directories = ?", [[str(archive.resolve())]])
        self._duckdb.execute("SET enable_external_access = false")
        self._duckdb.execute("SET lock_configuration = true")

    def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> pa.Table:
        """The rows of one SELECT as an Arrow table. `tables` can be named in it, for this query only.

        Raises InvalidInput for anything but one SELECT, and duckdb.Error.
        """
        one_select(sql)
        with self._turn:
            for name, table in (tables or {}).items():
                self._duckdb.register(name, table)
            try:
                return self._duckdb.sql(sql, params=parameters or {}).to_arrow_table()
            finally:
                for name in tables or {}:
                    self._duckdb.unregister(name)

    def close(self) -> None:
        with self._turn:
            self._duckdb.close()
