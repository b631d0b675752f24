"""Which stores there are, and how one is opened: its client is imported only then."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from pydantic import ValidationError

from memfold.memory.errors import InvalidInput
from memfold.stores.errors import ExtraMissing
from memfold.stores.port import VectorStore
from memfold.stores.settings import StoreSettings


class Adapter(NamedTuple):
    """A store's module and classes in this room, and the package that its client is. The extra is called as the provider is."""

    module: str
    settings: str
    store: str
    client: str


ADAPTERS: Mapping[str, Adapter] = {
    "qdrant": Adapter("qdrant", "QdrantSettings", "QdrantStore", "qdrant_client"),
    "chroma": Adapter("chroma", "ChromaSettings", "ChromaStore", "chromadb"),
    "faiss": Adapter("faiss", "FaissSettings", "FaissStore", "faiss"),
    "pgvector": Adapter("pgvector", "PgvectorSettings", "PgvectorStore", "psycopg"),
    "pinecone": Adapter("pinecone", "PineconeSettings", "PineconeStore", "pinecone"),
    "langchain": Adapter("langchain", "LangChainSettings", "LangChainStore", "langchain_core"),
}


def settings_class(provider: str) -> type[StoreSettings]:
    """Raises InvalidInput for a provider that is not known, ExtraMissing."""
    adapter, module = _loaded(provider)
    found: type[StoreSettings] = getattr(module, adapter.settings)
    return found


def checked_settings(provider: str, config: Mapping[str, Any]) -> StoreSettings:
    """Raises InvalidInput naming each field, ExtraMissing."""
    wanted = settings_class(provider)
    try:
        return wanted.model_validate(dict(config))
    except ValidationError as wrong:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'config'}: {e['msg']}" for e in wrong.errors()]
        known = ", ".join(wanted.model_fields)
        raise InvalidInput(f"{provider}: {'; '.join(lines)}. Known are {known}") from None


def open_store(provider: str, config: Mapping[str, Any], dimensions: int, new: bool) -> VectorStore:
    """The store, connected. `new`: make the collection, which may not be there yet; else it has to be.

    Raises InvalidInput, ExtraMissing, ShardDamaged, StoreUnavailable, StoreRefused.
    """
    settings = checked_settings(provider, config)
    if settings.embedding_model_dims not in (None, dimensions):
        raise InvalidInput(
            f"{provider}: embedding_model_dims is {settings.embedding_model_dims}, but the embedder gives {dimensions}; "
            "leave it out, or configure that embedder"
        )
    adapter, module = _loaded(provider)
    store: VectorStore = getattr(module, adapter.store)(settings, dimensions, new)
    return store


def _loaded(provider: str) -> tuple[Adapter, Any]:
    adapter = ADAPTERS.get(provider)
    if adapter is None:
        raise InvalidInput(f"there is no vector store {provider!r}; known are {', '.join(ADAPTERS)}")
    try:
        return adapter, import_module(f"memfold.stores.{adapter.module}")
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != adapter.client:
            raise
        raise ExtraMissing(
            f"the client of {provider} is not installed: pip install 'memfold[{provider}]'"
        ) from missing
