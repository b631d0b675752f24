"""FAISS in a folder: rows and vectors in SQLite, which is durable and filters; an exact index over the vectors in memory.

<path>/<collection_name>.db       rows(id, row_id, payload, vector); `id` is the id in the index
<path>/<collection_name>.faiss    the index as it was when the mirror was last closed, for programs of your own
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import faiss
import msgspec
import numpy as np
from pydantic import Field

from memfold.projections.vector_rows import Row
from memfold.stores.conditions import SQL_SIGNS
from memfold.stores.errors import store_errors
from memfold.stores.payload import payload_of, row_of, values_of
from memfold.stores.port import Asked, Found, Test
from memfold.stores.settings import Folder, StoreSettings, check_there

_TABLE = """
CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, row_id TEXT UNIQUE, payload TEXT, vector BLOB);
CREATE INDEX IF NOT EXISTS subjects ON rows (json_extract(payload, '$.subject'));
"""
_ASKED = 500


class FaissSettings(StoreSettings):
    path: Folder = Field(description="A folder; one process opens it.")


class FaissStore:
    """A `VectorStore` over an exact inner-product index: what SQLite lets pass is all that FAISS compares."""

    def __init__(self, settings: FaissSettings, dimensions: int, new: bool) -> None:
        self._rows = settings.path / f"{settings.collection_name}.db"
        self._where = f"FAISS's collection {settings.collection_name!r} in {settings.path}"
        check_there(self._rows.exists(), not new, self._where)
        settings.path.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._database = sqlite3.connect(self._rows, check_same_thread=False)
            self._database.executescript(_TABLE)
            self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimensions))
            self._add(self._database.execute("SELECT id, vector FROM rows").fetchall())

    def put(self, rows: Sequence[Row]) -> None:
        written = [(row.row_id, _json(row), values_of(row)) for row in rows]
        with self._errors(), self._database:
            self._database.executemany(
                "INSERT INTO rows (row_id, payload, vector) VALUES (?, ?, ?) "
                "ON CONFLICT (row_id) DO UPDATE SET payload = excluded.payload, vector = excluded.vector",
                [(row_id, payload, vector.tobytes()) for row_id, payload, vector in written],
            )
        ids = [each[0] for each in self._of("id", [row.row_id for row in rows])]
        self._index.remove_ids(faiss.IDSelectorBatch(np.array(ids, np.int64)))
        self._add(self._of("id, vector", [row.row_id for row in rows]))

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        rows = [_row(payload) for (payload,) in self._of("payload", row_ids)]
        return {row.row_id: row for row in rows}

    def search(self, asked: Asked) -> list[Found]:
        conditions = " AND ".join(["TRUE", *(_condition(test) for test in asked.tests)])
        values = [value for test in asked.tests for value in _values(test)]
        with self._errors():
            passing = self._database.execute(f"SELECT id, payload FROM rows WHERE {conditions}", values)
            payloads: dict[int, str] = dict(passing.fetchall())
        if not payloads:
            return []
        chosen = faiss.SearchParameters()
        chosen.sel = faiss.IDSelectorBatch(np.array([*payloads], np.int64))
        query = np.ascontiguousarray(asked.vector, np.float32)[None]
        faiss.normalize_L2(query)
        scores, ids = self._index.search(query, min(asked.limit, len(payloads)), params=chosen)
        return [
            Found(_row(payloads[int(number)]), float(score))
            for number, score in zip(ids[0], scores[0], strict=True)
        ]

    def drop(self) -> None:
        for path in (self._rows, self._rows.with_suffix(".faiss")):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        self._database.close()
        if self._rows.exists():
            written = self._rows.with_suffix(".new")
            faiss.write_index(self._index, str(written))
            written.replace(self._rows.with_suffix(".faiss"))

    def _add(self, rows: list[tuple[int, bytes]]) -> None:
        if rows:
            vectors = np.frombuffer(b"".join(vector for _, vector in rows), np.float32)
            vectors = vectors.reshape(len(rows), -1).copy()
            faiss.normalize_L2(vectors)
            self._index.add_with_ids(vectors, np.array([number for number, _ in rows], np.int64))

    def _of(self, columns: str, row_ids: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        with self._errors():
            for start in range(0, len(row_ids), _ASKED):
                some = row_ids[start : start + _ASKED]
                marks = ", ".join("?" * len(some))
                found += self._database.execute(f"SELECT {columns} FROM rows WHERE row_id IN ({marks})", some)
        return found

    def _errors(self) -> Any:
        return store_errors(self._where, (), (sqlite3.Error, OSError, RuntimeError))


def _json(row: Row) -> str:
    return msgspec.json.encode(payload_of(row)).decode()


def _row(payload: str) -> Row:
    return row_of(msgspec.json.decode(payload))


def _condition(test: Test) -> str:
    """Field names are the payload's own; values are bound."""
    field = f"json_extract(payload, '$.{test.field}')"
    if test.operator == "in":
        return f"{field} IN ({', '.join('?' * len(test.value))})"
    return f"{field} {SQL_SIGNS[test.operator]} ?"


def _values(test: Test) -> Sequence[Any]:
    return test.value if test.operator == "in" else [test.value]
