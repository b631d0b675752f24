"""SQL that a caller wrote, over nothing but the views that it is given.

This connection has no directory that it may read: rows come in as Arrow, already narrowed to the caller's tenant, so there is no
SQL that reaches another tenant's. A view that the text does not name is not made; one that is named only in a built string is
an error then, never an empty table.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.dataset as ds  # type: ignore[import-untyped]

from memfold.audit.connection import locked, one_select
from memfold.audit.errors import QueryStopped
from memfold.audit.views import VIEWS
from memfold.memory.errors import InvalidInput
from memfold.projections.archive_rows import SCHEMA

SECONDS = 30.0
ROWS = 100_000
_BATCH = 10_000
_SOURCE = "reading the stream registered as"
"""What DuckDB says where the rows that it was given fail: that is no fault of the SQL."""


def named(sql: str) -> list[str]:
    """The views whose names stand in the text of a query."""
    return [name for name in VIEWS if re.search(rf"\b{name}\b", sql, re.IGNORECASE)]


class CallersSQL:
    """One connection; safe to share between threads, one query at a time. Stops after `seconds` and after `rows` rows."""

    def __init__(self, *, seconds: float = SECONDS, rows: int = ROWS) -> None:
        self._seconds, self._rows = seconds, rows
        self._turn = threading.Lock()
        self._duckdb = duckdb.connect(":memory:", config=locked())
        for view in VIEWS.values():
            if view.topic:
                columns = ", ".join(f'{column.source} AS "{column.name}"' for column in view.columns)
                # Bound to its rows, `log_events` say, when it is used: until then there are none.
                self._duckdb.register(f"log_{view.name}", SCHEMA.empty_table())
                self._duckdb.execute(f"CREATE VIEW {view.name} AS SELECT {columns} FROM log_{view.name}")
                self._duckdb.unregister(f"log_{view.name}")
        self._duckdb.execute("SET enable_external_access = false")
        self._duckdb.execute("SET lock_configuration = true")

    def query(self, sql: str, tables: Mapping[str, pa.Table | ds.Dataset]) -> pa.Table:
        """The rows of one SELECT over the views in `tables`.

        Raises InvalidInput (what DuckDB says of the SQL), QueryStopped, and duckdb.IOException where a view's files fail.
        """
        one_select(sql)
        with self._turn:
            names = [f"log_{name}" if VIEWS[name].topic else name for name in tables]
            for name, table in zip(names, tables.values(), strict=True):
                self._duckdb.register(name, table)
            timer = threading.Timer(self._seconds, self._duckdb.interrupt)
            timer.start()
            try:
                return self._read(sql)
            except QueryStopped:
                raise
            except (duckdb.Error, OSError, pa.ArrowException) as failure:
                if _SOURCE in str(failure):
                    raise duckdb.IOException(str(failure)) from failure
                raise self._told(failure) from failure
            finally:
                timer.cancel()
                for name in names:
                    self._duckdb.unregister(name)

    def _read(self, sql: str) -> pa.Table:
        reader = self._duckdb.sql(sql).to_arrow_reader(_BATCH)
        batches, count = [], 0
        for batch in reader:
            batches.append(batch)
            count += len(batch)
            if count > self._rows:
                raise QueryStopped(
                    f"the query has more than {self._rows:,} rows; aggregate, filter, or add LIMIT"
                )
        return pa.Table.from_batches(batches, schema=reader.schema)

    def _told(self, failure: Exception) -> Exception:
        text = str(failure).strip().removesuffix(".")
        if "Interrupt" in text:
            return QueryStopped(
                f"the query ran longer than {self._seconds:g} s and was stopped; filter or aggregate more, or narrow it"
            )
        if isinstance(failure, duckdb.OutOfMemoryException) or "Out of Memory" in text:
            return QueryStopped(
                f"the query needs more memory than it may have; aggregate or narrow it ({text.splitlines()[0]})"
            )
        return InvalidInput(f"the audit connection refuses this SQL: {text}")

    def close(self) -> None:
        """Waits for the query that is running."""
        with self._turn:
            self._duckdb.close()
