"""FAISS and SQLite in this process."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import faiss

from memfold.stores.adapters import open_store
from memfold.stores.port import VectorStore
from tests.stores.store_contract import ROWS, StoreContract
from tests.strategies import DIMENSIONS


class TestFaiss(StoreContract):
    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        config = {"path": str(folder / "faiss"), "collection_name": "memories"}
        return open_store("faiss", config, DIMENSIONS, new)


def test_the_index_is_left_for_other_programs(tmp_path: Path) -> None:
    with closing(TestFaiss.open_store(tmp_path, True)) as store:
        store.put(ROWS)
        store.put(ROWS[:3])
    index = faiss.read_index(str(tmp_path / "faiss" / "memories.faiss"))
    assert (index.ntotal, index.d) == (len(ROWS), DIMENSIONS)
