"""LangChain's own store in memory, with fake embeddings: the interface, not a store that one would use."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from memfold.memory.errors import InvalidInput
from memfold.stores.adapters import open_store
from memfold.stores.errors import StoreRefused
from memfold.stores.port import VectorStore
from tests.stores.store_contract import StoreContract
from tests.strategies import DIMENSIONS


def in_memory() -> InMemoryVectorStore:
    return InMemoryVectorStore(DeterministicFakeEmbedding(size=DIMENSIONS))


def opened(path: str) -> VectorStore:
    return open_store("langchain", {"store": path, "collection_name": "memories"}, DIMENSIONS, True)


class TestLangChain(StoreContract):
    EXACT, REOPENS = False, False

    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        return opened(f"{__name__}:in_memory")


def test_what_is_no_store_is_named() -> None:
    with pytest.raises(InvalidInput, match="is PosixPath, not a LangChain VectorStore"):
        opened("pathlib:Path")
    with pytest.raises(InvalidInput, match="cannot be imported"):
        opened("no.such:store")


def test_it_says_that_it_cannot_be_dropped() -> None:
    with pytest.raises(StoreRefused, match="--keep"):
        opened(f"{__name__}:in_memory").drop()
