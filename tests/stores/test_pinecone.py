"""Pinecone's client against an emulated Pinecone; the service itself was never run against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest
from msgspec.structs import replace

from memfold.stores.adapters import open_store
from memfold.stores.errors import StoreRefused, StoreUnavailable
from memfold.stores.port import Asked, VectorStore
from tests.stores.pinecone_emulator import pinecone
from tests.stores.store_contract import QUERY, ROWS, StoreContract
from tests.strategies import DIMENSIONS


class TestPinecone(StoreContract):
    url: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def filled(cls) -> Iterator[VectorStore]:
        # Of its own: the emulated indexes share a host.
        with pinecone() as emulated, closing(_opened(emulated.url, True)) as store:
            store.put(ROWS)
            yield store

    @pytest.fixture(autouse=True)
    @classmethod
    def server(cls) -> Iterator[None]:
        with pinecone() as emulated:
            TestPinecone.url = emulated.url
            yield

    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        return _opened(TestPinecone.url, new)

    def test_more_than_it_can_give_is_refused_and_not_cut(self, empty: VectorStore) -> None:
        with pytest.raises(StoreRefused, match="at most 10000 rows at a time, and 40000 are needed"):
            empty.search(Asked(QUERY, "", (), 40_000))

    def test_what_the_service_refuses_is_said(self, empty: VectorStore) -> None:
        with pytest.raises(StoreRefused, match=r"'my-memories' refused.*dimension"):
            empty.put([replace(ROWS[0], vector=b"\0<\0<")])


def _opened(url: str, new: bool) -> VectorStore:
    config = {"api_key": "emulated", "host": url, "collection_name": "my_memories"}
    return open_store("pinecone", config, DIMENSIONS, new)


@pytest.mark.timeout(120)
def test_a_service_that_does_not_answer_is_named() -> None:
    with pytest.raises(StoreUnavailable, match="'my-memories' does not answer"):
        _opened("http://127.0.0.1:9", True)
