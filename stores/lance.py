"""LanceDB in another place than the home: a folder, or object storage (`s3://`, `gs://`, `az://`) that many machines can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import cast

import lancedb
import pyarrow as pa  # type: ignore[import-untyped]
from lancedb.index import BTree
from lancedb.query import LanceVectorQueryBuilder
from msgspec.structs import replace
from pydantic import Field

from memfold.projections.base import Position
from memfold.projections.vector_filter import every, literal, one_of
from memfold.projections.vector_fold import moment
from memfold.projections.vector_rows import COLUMNS, Row, batch_of, rows_of, schema
from memfold.projections.vector_upkeep import Upkeep
from memfold.stores.conditions import SQL_SIGNS
from memfold.stores.errors import store_errors
from memfold.stores.payload import FOREVER
from memfold.stores.port import Asked, Found, Test
from memfold.stores.settings import Options, StoreSettings, check_there

INDEXED = ("row_id", "subject")
KEEP = timedelta(hours=1)
"""How long a reader elsewhere may stay on an old version of the table."""
_CAUSE = re.compile(r'message: "([^"]*)"')
_TIMES = ("created_at", "updated_at", "valid_from", "valid_to")


class LanceSettings(StoreSettings):
    uri: str = Field(
        min_length=1,
        description="A folder, or `s3://bucket/path`, `gs://bucket/path`, `az://container/path`.",
    )
    storage_options: Options = Field(
        default={},
        repr=False,
        description="What the object store's client takes: region, endpoint, keys; a mapping, or JSON. Its own environment "
        "variables (`AWS_REGION` …) count too.",
    )


class LanceStore:
    """A `VectorStore` in one LanceDB table; searches are exact. A commit on object storage is a conditional put of its manifest."""

    def __init__(self, settings: LanceSettings, dimensions: int, new: bool) -> None:
        self._name, self._dimensions = settings.collection_name, dimensions
        self._where = f"LanceDB's table {self._name!r} in {settings.uri}"
        with self._errors():
            self._database = lancedb.connect(settings.uri, storage_options=settings.storage_options)
            check_there(self._name in self._database.list_tables(limit=10_000).tables, not new, self._where)
            if new:
                self._table = self._database.create_table(self._name, schema=schema(dimensions))
                for column in INDEXED:
                    self._table.create_index(column, config=BTree())
            else:
                self._table = self._database.open_table(self._name)
            self._upkeep = Upkeep(self._table.count_rows())

    def put(self, rows: Sequence[Row]) -> None:
        # The last row of a batch is a shard's position, which a mirror keeps elsewhere.
        batch = batch_of(rows, Position(), self._dimensions).slice(0, len(rows))
        with self._errors():
            merge = self._table.merge_insert("row_id").when_matched_update_all().when_not_matched_insert_all()
            merge.execute(batch, on_bad_vectors="null")
            self._upkeep.written(len(rows))
            if self._upkeep.due():
                self._upkeep.run(self._table, KEEP)

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        if not row_ids:
            return {}
        with self._errors():
            found = self._table.search().where(one_of("row_id", row_ids)).to_arrow()
        by_id = {row.row_id: replace(row, vector=None) for row in rows_of(found.select(COLUMNS))}
        return {row_id: by_id[row_id] for row_id in row_ids if row_id in by_id}

    def search(self, asked: Asked) -> list[Found]:
        with self._errors():
            query = cast(LanceVectorQueryBuilder, self._table.search(asked.vector)).distance_type("cosine")
            query = query.limit(asked.limit)
            if asked.tests:
                query = query.where(every(*map(_condition, asked.tests)), prefilter=True)
            found: pa.Table = query.to_arrow()
        rows = rows_of(found.select(COLUMNS))
        cosines = [1.0 - distance for distance in found["_distance"].to_pylist()]
        return [Found(replace(row, vector=None), score) for row, score in zip(rows, cosines, strict=True)]

    def drop(self) -> None:
        with self._errors():
            self._database.drop_table(self._name)

    def close(self) -> None:
        """Nothing is held: every put is durable when it returns."""

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with store_errors(self._where, (OSError,), (RuntimeError, ValueError)):
            try:
                yield
            except (RuntimeError, ValueError) as failure:
                # LanceDB gives a ValueError also where its object store's client gave up trying: it can be told by that client's
                # own word only, and its text ends in a page of where in Rust it was.
                if "RetryError" in str(failure):
                    raise ConnectionError(" ".join(_CAUSE.findall(str(failure))) or str(failure)) from failure
                raise


def _condition(test: Test) -> str:
    if test.field == "valid_to" and test.value == FOREVER and test.operator == "eq":
        return "valid_to IS NULL"
    if test.operator == "in":
        return one_of(test.field, cast(tuple[str, ...], test.value))
    compared = f"{test.field} {SQL_SIGNS[test.operator]} {_value(test)}"
    if test.field == "valid_to" and test.operator in ("gt", "gte"):
        return f"(valid_to IS NULL OR {compared})"
    return compared


def _value(test: Test) -> str:
    if test.field in _TIMES:
        return f"timestamp '{moment(test.value).isoformat(timespec='microseconds')}'"
    if isinstance(test.value, bool):
        return "true" if test.value else "false"
    return str(int(test.value)) if isinstance(test.value, int) else literal(test.value)
