"""Qdrant in its local mode: the same client and filters, a folder instead of a server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from memfold.stores.adapters import open_store
from memfold.stores.errors import StoreRefused, StoreUnavailable
from memfold.stores.port import VectorStore
from tests.stores.store_contract import StoreContract
from tests.strategies import DIMENSIONS


class TestQdrantInAFolder(StoreContract):
    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        config = {"path": str(folder / "qdrant"), "collection_name": "memories"}
        return open_store("qdrant", config, DIMENSIONS, new)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_folder_that_another_process_has_is_named(tmp_path: Path) -> None:
    # The client leaves its own lock file open when it is refused.
    with (
        closing(TestQdrantInAFolder.open_store(tmp_path, True)),
        pytest.raises(StoreRefused, match=f"{tmp_path}.*already accessed"),
    ):
        TestQdrantInAFolder.open_store(tmp_path, False)


def test_a_server_that_is_not_there_is_named() -> None:
    config = {"url": "http://127.0.0.1:9", "collection_name": "memories"}
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:9 does not answer"):
        open_store("qdrant", config, DIMENSIONS, True)
