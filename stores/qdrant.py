"""Qdrant: a folder that one process opens (`path`), or a server (`url`, or `host` and `port`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pydantic import Field, model_validator
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from memfold.projections.vector_rows import Row
from memfold.stores.conditions import FILTERED
from memfold.stores.errors import store_errors
from memfold.stores.payload import payload_of, row_of, values_of
from memfold.stores.port import Asked, Found, Test
from memfold.stores.settings import Folder, StoreSettings, check_there

_NUMBERS = ("version", "created_at", "updated_at", "valid_from", "valid_to")


class QdrantSettings(StoreSettings):
    path: Folder | None = Field(
        default=None, description="A folder, instead of a server; one process opens it."
    )
    url: str | None = Field(default=None, description="Of a server, or `host` and `port`.")
    host: str | None = None
    port: int = 6333
    api_key: str | None = Field(default=None, repr=False)
    on_disk: bool = Field(
        default=False, description="Vectors stay on the server's disk instead of in its memory."
    )

    @model_validator(mode="after")
    def _one_place(self) -> QdrantSettings:
        if sum(place is not None for place in (self.path, self.url, self.host)) != 1:
            raise ValueError("set one of path (a folder), url, and host")
        return self


class QdrantStore:
    """A `VectorStore` in a Qdrant collection. On a server, searches use its HNSW index and are as exact as that is."""

    def __init__(self, settings: QdrantSettings, dimensions: int, new: bool) -> None:
        self._name = settings.collection_name
        self._where = (
            f"Qdrant's collection {self._name!r} at {settings.path or settings.url or settings.host}"
        )
        with self._errors():
            self._client = _client(settings)
            check_there(self._client.collection_exists(self._name), not new, self._where)
            if new:
                self._create(dimensions, settings)

    def _create(self, dimensions: int, settings: QdrantSettings) -> None:
        vectors = models.VectorParams(
            size=dimensions, distance=models.Distance.COSINE, on_disk=settings.on_disk
        )
        self._client.create_collection(self._name, vectors_config=vectors)
        for field in FILTERED if settings.path is None else ():
            kind = models.PayloadSchemaType.KEYWORD
            if field in _NUMBERS:
                kind = models.PayloadSchemaType.INTEGER
            elif field == "pending":
                kind = models.PayloadSchemaType.BOOL
            self._client.create_payload_index(self._name, field, kind)

    def put(self, rows: Sequence[Row]) -> None:
        points = [
            models.PointStruct(id=_id(row.row_id), vector=values_of(row).tolist(), payload=payload_of(row))
            for row in rows
        ]
        with self._errors():
            self._client.upsert(self._name, points, wait=True)

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        with self._errors():
            found = self._client.retrieve(self._name, [_id(row_id) for row_id in row_ids])
        rows = [row_of(point.payload or {}) for point in found]
        return {row.row_id: row for row in rows}

    def search(self, asked: Asked) -> list[Found]:
        with self._errors():
            found = self._client.query_points(
                self._name,
                query=asked.vector.tolist(),
                query_filter=models.Filter(must=[_condition(test) for test in asked.tests]),
                limit=asked.limit,
                with_payload=True,
            ).points
        return [Found(row_of(point.payload or {}), point.score) for point in found]

    def drop(self) -> None:
        with self._errors():
            self._client.delete_collection(self._name)

    def close(self) -> None:
        self._client.close()

    def _errors(self) -> Any:
        # Without a server, the client raises ValueError for bad input and RuntimeError for a folder that is locked.
        return store_errors(
            self._where, (ResponseHandlingException, OSError), (UnexpectedResponse, ValueError, RuntimeError)
        )


def _client(settings: QdrantSettings) -> QdrantClient:
    if settings.path is not None:
        return QdrantClient(path=str(settings.path), force_disable_check_same_thread=True)
    key = settings.api_key
    if settings.url is not None:
        return QdrantClient(url=settings.url, api_key=key, check_compatibility=False)
    return QdrantClient(
        host=settings.host, port=settings.port, api_key=key, https=False, check_compatibility=False
    )


def _id(row_id: str) -> str:
    """Qdrant's ids are UUIDs or numbers."""
    return str(uuid5(NAMESPACE_OID, row_id))


def _condition(test: Test) -> models.FieldCondition:
    if test.operator == "eq":
        return models.FieldCondition(key=test.field, match=models.MatchValue(value=test.value))
    if test.operator == "in":
        return models.FieldCondition(key=test.field, match=models.MatchAny(any=[*test.value]))
    return models.FieldCondition(key=test.field, range=models.Range(**{test.operator: test.value}))
