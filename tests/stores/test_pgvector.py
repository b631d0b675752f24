"""pgvector in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from memfold.stores.adapters import open_store
from memfold.stores.errors import StoreRefused, StoreUnavailable
from memfold.stores.port import VectorStore
from tests.stores.postgres import binaries, postgres, readable_folder
from tests.stores.store_contract import ROWS, StoreContract
from tests.strategies import DIMENSIONS

pytestmark = pytest.mark.skipif(
    binaries() is None,
    reason="no PostgreSQL with pgvector: install postgresql-15-pgvector, or pgserver from PyPI",
)


class TestPgvector(StoreContract):
    address: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def server(cls) -> Iterator[None]:
        with readable_folder() as folder, postgres(folder / "postgres") as TestPgvector.address:
            yield

    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        name = f"t{folder.name[-40:]}".replace("-", "_")
        config = {"connection_string": TestPgvector.address, "collection_name": name}
        return open_store("pgvector", config, DIMENSIONS, new)

    def test_a_batch_is_one_transaction(self, tmp_path: Path) -> None:
        with closing(self.open_store(tmp_path, True)) as store:
            wrong = type(ROWS[1])(**{name: getattr(ROWS[1], name) for name in ROWS[1].__struct_fields__})
            wrong.vector = b"\0\0"
            with pytest.raises(StoreRefused, match="dimensions"):
                store.put([ROWS[0], wrong])
            assert store.held([ROWS[0].row_id]) == {}


def test_a_server_that_is_not_there_is_named() -> None:
    config = {"connection_string": "host=127.0.0.1 port=9", "collection_name": "memories"}
    with pytest.raises(StoreUnavailable, match="'memories' does not answer"):
        open_store("pgvector", config, DIMENSIONS, True)
