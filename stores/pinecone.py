"""Pinecone: a serverless index. It is eventually consistent: a search, and `verify`, may not see what was put just before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from pinecone import Pinecone, ServerlessSpec
from pinecone.errors import PineconeConnectionError, PineconeError, PineconeTimeoutError
from pydantic import Field

from memfold.projections.vector_rows import Row
from memfold.stores.errors import StoreRefused, store_errors
from memfold.stores.payload import payload_of, row_of, values_of
from memfold.stores.port import Asked, Found, Test
from memfold.stores.settings import StoreSettings, check_there

MOST = 10_000
"""Matches that one query gives at most."""
_AT_A_TIME = 25
"""Rows in one request: with 1,536 dimensions and all the metadata that is allowed below the 2 MB that a request may have."""


class PineconeSettings(StoreSettings):
    api_key: str = Field(repr=False)
    cloud: str = "aws"
    region: str = "us-east-1"
    host: str | None = Field(default=None, description="Of the control plane, if it is not Pinecone's own.")


class PineconeStore:
    """A `VectorStore` in an index of its own, named with - for _."""

    def __init__(self, settings: PineconeSettings, dimensions: int, new: bool) -> None:
        self._name = settings.collection_name.lower().replace("_", "-")
        self._where = f"Pinecone's index {self._name!r}"
        with self._errors():
            self._client = Pinecone(settings.api_key, host=settings.host)
            try:
                check_there(self._client.has_index(self._name), not new, self._where)
                if new:
                    spec = ServerlessSpec(cloud=settings.cloud, region=settings.region)
                    self._client.create_index(self._name, spec=spec, dimension=dimensions, metric="cosine")
                self._index: Any = self._client.index(self._name)
            except BaseException:
                self._client.close()
                raise

    def put(self, rows: Sequence[Row]) -> None:
        """Row by row: half of a request is never kept, but some requests of a batch may be."""
        vectors = [(row.row_id, values_of(row).tolist(), payload_of(row)) for row in rows]
        with self._errors():
            for some in _chunks(vectors):
                self._index.upsert(vectors=some)

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        with self._errors():
            found = [self._index.fetch(ids=some).vectors.values() for some in _chunks(row_ids)]
        rows = [row_of(vector.metadata) for vector in chain.from_iterable(found)]
        return {row.row_id: row for row in rows}

    def search(self, asked: Asked) -> list[Found]:
        if asked.limit > MOST:
            raise StoreRefused(
                f"{self._where} gives at most {MOST} rows at a time, and {asked.limit} are needed for this filter; ask for less, "
                "or with a scope, ids or times that are narrower"
            )
        conditions = [_condition(test) for test in asked.tests]
        with self._errors():
            found = self._index.query(
                top_k=asked.limit,
                vector=asked.vector.tolist(),
                filter={"$and": conditions} if conditions else None,
                include_metadata=True,
            )
        return [Found(row_of(match.metadata), match.score) for match in found.matches]

    def drop(self) -> None:
        with self._errors():
            self._client.delete_index(self._name)

    def close(self) -> None:
        self._index.close()
        self._client.close()

    def _errors(self) -> Any:
        return store_errors(self._where, (PineconeConnectionError, PineconeTimeoutError), (PineconeError,))


def _chunks(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + _AT_A_TIME] for start in range(0, len(values), _AT_A_TIME)]


def _condition(test: Test) -> dict[str, Any]:
    value = [*test.value] if test.operator == "in" else test.value
    return {test.field: {f"${test.operator}": value}}
