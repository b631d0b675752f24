"""Chroma in a folder: the store itself, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from memfold.stores.adapters import open_store
from memfold.stores.errors import StoreUnavailable
from memfold.stores.port import VectorStore
from tests.stores.store_contract import StoreContract
from tests.strategies import DIMENSIONS


class TestChromaInAFolder(StoreContract):
    # Seen once in eight runs, beside other work.
    MAY_LOSE = 0.1

    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        config = {"path": str(folder / "chroma"), "collection_name": "memories"}
        return open_store("chroma", config, DIMENSIONS, new)


def test_a_server_that_is_not_there_is_named() -> None:
    config = {"host": "127.0.0.1", "port": 9, "collection_name": "memories"}
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1 does not answer"):
        open_store("chroma", config, DIMENSIONS, True)
