"""Weaviate: a server's collection, whose properties are a row's fields with their types."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, get_args, get_type_hints
from uuid import NAMESPACE_OID, uuid5

from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, FilterReturn, MetadataQuery
from weaviate.exceptions import WeaviateBaseError

from memfold.projections.vector_rows import Row
from memfold.stores.conditions import FILTERED
from memfold.stores.errors import StoreRefused, store_errors
from memfold.stores.meaning import passes
from memfold.stores.payload import payload_of, row_of, values_of
from memfold.stores.port import Asked, Found, Operator, Test
from memfold.stores.settings import check_there
from memfold.stores.weaviate_connection import UNREACHABLE, WeaviateSettings, connected

__all__ = ["WeaviateSettings", "WeaviateStore"]
MOST = 10_000
"""Rows that one query gives at most, unless the server's QUERY_MAXIMUM_RESULTS says otherwise."""
_MORE = 4
_VECTOR = "default"
"""What Weaviate calls the only vector of an object."""
_TYPES = {str: DataType.TEXT, int: DataType.INT, bool: DataType.BOOL}
_TESTS: dict[Operator, str] = {
    "eq": "equal",
    "in": "contains_any",
    "gt": "greater_than",
    "gte": "greater_or_equal",
    "lt": "less_than",
    "lte": "less_or_equal",
}


class WeaviateStore:
    """A `VectorStore` in a Weaviate collection. Searches use its HNSW index and are as exact as that is."""

    def __init__(self, settings: WeaviateSettings, dimensions: int, new: bool) -> None:
        # Weaviate's collections begin with a capital.
        self._name = settings.collection_name[0].upper() + settings.collection_name[1:]
        self._where = f"Weaviate's collection {self._name!r} at {settings.cluster_url}"
        with self._errors():
            self._client = connected(settings)
            try:
                check_there(self._client.collections.exists(self._name), not new, self._where)
                if new:
                    self._create()
                self._collection = self._client.collections.use(self._name)
            except BaseException:
                self._client.close()
                raise

    def _create(self) -> None:
        index = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
        vector = Configure.Vectors.self_provided(name=_VECTOR, vector_index_config=index)
        self._client.collections.create(self._name, properties=_properties(), vector_config=vector)

    def put(self, rows: Sequence[Row]) -> None:
        """Not all or nothing: what is refused is told, the rest is kept."""
        objects = [
            DataObject(
                properties=payload_of(row), uuid=_id(row.row_id), vector={_VECTOR: values_of(row).tolist()}
            )
            for row in rows
        ]
        self._insert(objects)
        # A batch's part of the graph comes to disk only with the next batch (1.35): of a server that is killed in between,
        # searches would leave it out for good, also when the same is put later. Now putting the same again does nothing else.
        self._insert(objects)

    def _insert(self, objects: list[DataObject[Any, None]]) -> None:
        with self._errors():
            failed = self._collection.data.insert_many(objects).errors if objects else {}
        if failed:
            why = next(iter(failed.values())).message
            raise StoreRefused(f"{self._where} refused {len(failed)} of {len(objects)} rows: {why}")

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        with self._errors():
            found = self._collection.query.fetch_objects_by_ids(
                [_id(row_id) for row_id in row_ids], limit=len(row_ids)
            )
        rows = [row_of(one.properties) for one in found.objects]
        return {row.row_id: row for row in rows}

    def search(self, asked: Asked) -> list[Found]:
        """Weaviate takes the blanks around a text off before it compares: what passed only so is left out, and more is asked for."""
        wanted = asked.limit
        while True:
            found = self._nearest(asked, wanted)
            passing = [one for one in found if all(passes(test, one.row) for test in asked.tests)]
            if len(passing) >= asked.limit or len(found) < wanted:
                return passing[: asked.limit]
            wanted *= _MORE

    def _nearest(self, asked: Asked, limit: int) -> list[Found]:
        if limit > MOST:
            raise StoreRefused(
                f"{self._where} gives at most {MOST} rows at a time (QUERY_MAXIMUM_RESULTS), and {limit} are needed for this "
                "filter; ask for less, or with a scope, ids or times that are narrower"
            )
        conditions = [_condition(test) for test in asked.tests]
        with self._errors():
            found = self._collection.query.near_vector(
                asked.vector.tolist(),
                target_vector=_VECTOR,
                limit=limit,
                filters=Filter.all_of(conditions) if conditions else None,
                return_metadata=MetadataQuery(distance=True),
            )
        return [Found(row_of(one.properties), 1 - (one.metadata.distance or 0.0)) for one in found.objects]

    def drop(self) -> None:
        with self._errors():
            self._client.collections.delete(self._name)

    def close(self) -> None:
        self._client.close()

    def _errors(self) -> Any:
        return store_errors(self._where, UNREACHABLE, (WeaviateBaseError, ValueError))


def _properties() -> list[Property]:
    """All of a row's fields, so that the server guesses none; ids and kinds as they are, not as words."""
    found = []
    for name, hint in get_type_hints(Row).items():
        if name == "vector":
            continue
        (kind,) = {*(get_args(hint) or (hint,))} - {NoneType}
        text, tested = kind is str, name in FILTERED
        found.append(
            Property(
                name=name,
                data_type=_TYPES[kind],
                tokenization=Tokenization.FIELD if text else None,
                index_filterable=tested,
                index_range_filters=tested if kind is int else None,
                index_searchable=False if text else None,
            )
        )
    return found


def _id(row_id: str) -> str:
    """Weaviate's ids are UUIDs."""
    return str(uuid5(NAMESPACE_OID, row_id))


def _condition(test: Test) -> FilterReturn:
    value = [*test.value] if test.operator == "in" else test.value
    found: FilterReturn = getattr(Filter.by_property(test.field), _TESTS[test.operator])(value)
    return found
