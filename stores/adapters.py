"""Which stores there are, and how one is opened: its client is imported only then."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from pydantic import BaseModel, ValidationError

from memfold.memory.errors import InvalidInput
from memfold.stores.errors import ExtraMissing
from memfold.stores.settings import StoreSettings

if TYPE_CHECKING:
    from memfold.stores.port import VectorStore
    from memfold.stores.sparql import SparqlEndpoint


class Adapter(NamedTuple):
    """A store's module and classes in this room, and the package that its client is. The extra is called as the provider is;
    `client` "": memfold has it anyway, and there is no extra.
    """

    module: str
    settings: str
    store: str
    client: str
    projection: Literal["vector", "graph"] = "vector"


ADAPTERS: Mapping[str, Adapter] = {
    "lancedb": Adapter("lance", "LanceSettings", "LanceStore", ""),
    "qdrant": Adapter("qdrant", "QdrantSettings", "QdrantStore", "qdrant_client"),
    "chroma": Adapter("chroma", "ChromaSettings", "ChromaStore", "chromadb"),
    "faiss": Adapter("faiss", "FaissSettings", "FaissStore", "faiss"),
    "pgvector": Adapter("pgvector", "PgvectorSettings", "PgvectorStore", "psycopg"),
    "pinecone": Adapter("pinecone", "PineconeSettings", "PineconeStore", "pinecone"),
    "weaviate": Adapter("weaviate", "WeaviateSettings", "WeaviateStore", "weaviate"),
    "langchain": Adapter("langchain", "LangChainSettings", "LangChainStore", "langchain_core"),
    "sparql": Adapter("sparql", "SparqlSettings", "SparqlEndpoint", "", "graph"),
}


def settings_class(provider: str) -> type[BaseModel]:
    """Raises InvalidInput for a provider that is not known, ExtraMissing."""
    adapter, module = _loaded(provider)
    found: type[BaseModel] = getattr(module, adapter.settings)
    return found


def checked_settings(provider: str, config: Mapping[str, Any]) -> BaseModel:
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
    settings = cast(StoreSettings, checked_settings(provider, config))
    if settings.embedding_model_dims not in (None, dimensions):
        raise InvalidInput(
            f"{provider}: embedding_model_dims is {settings.embedding_model_dims}, but the embedder gives {dimensions}; "
            "leave it out, or configure that embedder"
        )
    adapter, module = _loaded(provider)
    store: VectorStore = getattr(module, adapter.store)(settings, dimensions, new)
    return store


def open_endpoint(provider: str, config: Mapping[str, Any]) -> SparqlEndpoint:
    """The endpoint of a graph mirror, which has answered. Raises InvalidInput, StoreUnavailable, StoreRefused."""
    settings = checked_settings(provider, config)
    adapter, module = _loaded(provider)
    endpoint: SparqlEndpoint = getattr(module, adapter.store)(settings)
    endpoint.check()
    return endpoint


def projection_of(provider: str) -> Literal["vector", "graph"]:
    """Which projection a store mirrors. Raises InvalidInput for a provider that is not known."""
    return _adapter(provider).projection


def _loaded(provider: str) -> tuple[Adapter, Any]:
    adapter = _adapter(provider)
    try:
        return adapter, import_module(f"memfold.stores.{adapter.module}")
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != adapter.client:
            raise
        raise ExtraMissing(
            f"the client of {provider} is not installed: pip install 'memfold[{provider}]'"
        ) from missing


def _adapter(provider: str) -> Adapter:
    adapter = ADAPTERS.get(provider)
    if adapter is None:
        raise InvalidInput(f"there is no store {provider!r}; known are {', '.join(ADAPTERS)}")
    return adapter
