"""PostgreSQL with the extension pgvector: one table, with a column for each field that a search may test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg import sql
from pydantic import Field

from memfold.projections.vector_rows import Row
from memfold.stores.conditions import FILTERED, SQL_SIGNS
from memfold.stores.errors import store_errors
from memfold.stores.payload import payload_of, row_of, values_of
from memfold.stores.port import Asked, Found, Test
from memfold.stores.settings import StoreSettings, check_there

_TYPES: dict[str, LiteralString] = {
    "version": "int",
    "pending": "bool",
    **dict.fromkeys(("created_at", "updated_at", "valid_from", "valid_to"), "bigint"),
}


class PgvectorSettings(StoreSettings):
    connection_string: str | None = Field(
        default=None,
        repr=False,
        description="A libpq address; else the fields below, or libpq's own defaults.",
    )
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = Field(default=None, repr=False)
    dbname: str | None = None


class PgvectorStore:
    """A `VectorStore` in a table. Searches are exact; an index on `embedding` that you create yourself makes them approximate."""

    def __init__(self, settings: PgvectorSettings, dimensions: int, new: bool) -> None:
        self._table = sql.Identifier(settings.collection_name)
        self._where = f"PostgreSQL's table {settings.collection_name!r}"
        given = settings.model_dump(include={"host", "port", "user", "password", "dbname"}, exclude_none=True)
        with self._errors():
            address = settings.connection_string or ""
            self._connection = psycopg.connect(address, autocommit=True, connect_timeout=10, **given)
            try:
                self._open(settings.collection_name, dimensions, new)
            except BaseException:
                self._connection.close()
                raise

    def _open(self, name: str, dimensions: int, new: bool) -> None:
        found = self._connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
        check_there(found is not None and found[0] is not None, not new, self._where)
        if new:
            self._create(dimensions)

    def _create(self, dimensions: int) -> None:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(field), sql.SQL(_TYPES.get(field, "text")))
            for field in FILTERED
        )
        with self._connection.transaction():
            self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            # `row` is text: jsonb refuses the NUL that a memory may hold.
            self._connection.execute(
                sql.SQL(
                    "CREATE TABLE {} (row_id text PRIMARY KEY, {}, row text NOT NULL, embedding vector({}) NOT NULL)"
                ).format(self._table, columns, sql.Literal(dimensions))
            )
            self._connection.execute(sql.SQL("CREATE INDEX ON {} (tenant, subject)").format(self._table))

    def put(self, rows: Sequence[Row]) -> None:
        """One transaction."""
        names = ["row_id", *FILTERED, "row", "embedding"]
        command = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (row_id) DO UPDATE SET {}").format(
            self._table,
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join([sql.Placeholder()] * (len(names) - 1) + [sql.SQL("%s::vector")]),
            sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names),
        )
        with self._errors(), self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(command, [_values(row) for row in rows])

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        command = sql.SQL("SELECT row FROM {} WHERE row_id = ANY(%s)").format(self._table)
        with self._errors():
            found = self._connection.execute(command, [[*row_ids]]).fetchall()
        rows = [_row(text) for (text,) in found]
        return {row.row_id: row for row in rows}

    def search(self, asked: Asked) -> list[Found]:
        conditions = sql.SQL(" AND ").join([sql.SQL("true"), *map(_condition, asked.tests)])
        command = sql.SQL(
            "SELECT row, 1 - (embedding <=> %s::vector) FROM {} WHERE {} ORDER BY embedding <=> %s::vector LIMIT %s"
        ).format(self._table, conditions)
        vector = str(asked.vector.tolist())
        values = [[*test.value] if test.operator == "in" else test.value for test in asked.tests]
        with self._errors():
            found = self._connection.execute(command, [vector, *values, vector, asked.limit]).fetchall()
        return [Found(_row(text), score) for text, score in found]

    def drop(self) -> None:
        with self._errors():
            self._connection.execute(sql.SQL("DROP TABLE {}").format(self._table))

    def close(self) -> None:
        self._connection.close()

    def _errors(self) -> Any:
        return store_errors(self._where, (psycopg.OperationalError,), (psycopg.Error,))


def _values(row: Row) -> list[Any]:
    payload = payload_of(row)
    columns = [payload.get(field) for field in FILTERED]
    text = msgspec.json.encode(payload).decode()
    return [row.row_id, *columns, text, str(values_of(row).tolist())]


def _row(text: str) -> Row:
    return row_of(msgspec.json.decode(text))


def _condition(test: Test) -> sql.Composed:
    if test.operator == "in":
        return sql.SQL("{} = ANY(%s)").format(sql.Identifier(test.field))
    return sql.SQL("{} {} %s").format(sql.Identifier(test.field), sql.SQL(SQL_SIGNS[test.operator]))
