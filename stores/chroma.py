"""Chroma: a folder that one process opens (`path`), or a server (`host` and `port`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import chromadb
import httpx
from chromadb.config import Settings
from chromadb.errors import ChromaError
from pydantic import Field, model_validator

from memfold.projections.vector_rows import Row
from memfold.stores.errors import store_errors
from memfold.stores.payload import payload_of, row_of, values_of
from memfold.stores.port import Asked, Found, Test
from memfold.stores.settings import Folder, StoreSettings, check_there

_NATIVE = Settings(anonymized_telemetry=False)
_TEXT = "text"
"""The row's text is Chroma's document; all else is metadata."""


class ChromaSettings(StoreSettings):
    path: Folder | None = Field(
        default=None, description="A folder, instead of a server; one process opens it."
    )
    host: str | None = Field(default=None, description="Of a server.")
    port: int = 8000
    ssl: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> ChromaSettings:
        if (self.path is None) == (self.host is None):
            raise ValueError("set one of path (a folder) and host")
        return self


class ChromaStore:
    """A `VectorStore` in a Chroma collection; searches use its HNSW index, and are as exact as that is."""

    def __init__(self, settings: ChromaSettings, dimensions: int, new: bool) -> None:
        self._name = settings.collection_name
        self._where = f"Chroma's collection {self._name!r} at {settings.path or settings.host}"
        with self._errors():
            self._client = _client(settings)
            there = self._name in [each.name for each in self._client.list_collections()]
            check_there(there, not new, self._where)
            # Without a function of its own Chroma downloads a model the first time that it is given a text.
            options: dict[str, Any] = {"embedding_function": None}
            if new:
                options["configuration"] = {"hnsw": {"space": "cosine"}}
            make = self._client.create_collection if new else self._client.get_collection
            self._collection = make(self._name, **options)

    def put(self, rows: Sequence[Row]) -> None:
        payloads = [payload_of(row) for row in rows]
        texts = [str(payload.pop(_TEXT)) for payload in payloads]
        with self._errors():
            self._collection.upsert(
                ids=[row.row_id for row in rows],
                embeddings=[values_of(row) for row in rows],
                metadatas=[dict(payload) for payload in payloads],
                documents=texts,
            )

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        if not row_ids:
            # Chroma takes no ids for all of them.
            return {}
        with self._errors():
            found = self._collection.get(ids=[*row_ids], include=["metadatas", "documents"])
        rows = [
            row_of({**metadata, _TEXT: text})
            for metadata, text in zip(found["metadatas"] or [], found["documents"] or [], strict=True)
        ]
        return {row.row_id: row for row in rows}

    def search(self, asked: Asked) -> list[Found]:
        conditions = [_condition(test) for test in asked.tests]
        with self._errors():
            # More than there are makes its index fail.
            most = min(asked.limit, self._collection.count())
            if not most:
                return []
            found = self._collection.query(
                query_embeddings=[asked.vector],
                n_results=most,
                where={"$and": conditions} if len(conditions) > 1 else next(iter(conditions), None),
                include=["metadatas", "documents", "distances"],
            )
        columns = [(found[name] or [[]])[0] for name in ("metadatas", "documents", "distances")]
        return [
            Found(row_of({**metadata, _TEXT: text}), 1 - distance)
            for metadata, text, distance in zip(*columns, strict=True)
        ]

    def drop(self) -> None:
        with self._errors():
            self._client.delete_collection(self._name)

    def close(self) -> None:
        self._client.close()

    def _errors(self) -> Any:
        return store_errors(
            self._where, (httpx.TransportError, OSError), (ChromaError, httpx.HTTPError, ValueError)
        )


def _client(settings: ChromaSettings) -> Any:
    if settings.path is not None:
        return chromadb.PersistentClient(settings.path, settings=_NATIVE)
    return chromadb.HttpClient(str(settings.host), settings.port, settings.ssl, settings=_NATIVE)


def _condition(test: Test) -> dict[str, Any]:
    value = [*test.value] if test.operator == "in" else test.value
    return {test.field: {f"${test.operator}": value}}
