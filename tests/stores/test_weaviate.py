"""Weaviate's client against a real Weaviate, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from memfold.infra.ports import free_ports
from memfold.memory.errors import InvalidInput
from memfold.stores import port
from memfold.stores.adapters import checked_settings, open_store
from memfold.stores.errors import StoreRefused, StoreUnavailable
from memfold.stores.port import Asked, VectorStore
from tests.stores.run import RUN
from tests.stores.store_contract import QUERY, ROWS, StoreContract
from tests.stores.weaviate_server import WeaviateServer, needs_weaviate
from tests.strategies import DIMENSIONS

HELD = {row.row_id: replace(row, vector=None) for row in ROWS}


@needs_weaviate
class TestWeaviate(StoreContract):
    server: ClassVar[WeaviateServer]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def running(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        TestWeaviate.server = WeaviateServer(tmp_path_factory.mktemp("weaviate"))
        yield
        TestWeaviate.server.kill()

    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        return opened(TestWeaviate.server.settings, new, f"t{folder.name[-40:]}".replace("-", "_"))

    def test_its_version_is_the_one_that_the_documentation_names(self) -> None:
        version = self.server.version()
        assert version in RUN["weaviate"][0].against

    def test_blanks_around_a_text_are_part_of_it(self, empty: VectorStore) -> None:
        row = next(row for row in ROWS if row.user_id == "alex")
        ids = ("alex", " alex", "alex ", "\u00a0alex")
        empty.put([replace(row, row_id=f"{number}:1", user_id=one) for number, one in enumerate(ids)])
        for number, one in enumerate(ids):
            for limit in (1, 9):
                (found,) = empty.search(Asked(QUERY, "", (port.Test("user_id", "eq", one),), limit))
                assert (found.row.row_id, found.row.user_id) == (f"{number}:1", one)
        assert empty.search(Asked(QUERY, "", (port.Test("kind", "eq", " "),), 9)) == []

    def test_more_than_it_can_give_is_refused_and_not_cut(self, empty: VectorStore) -> None:
        with pytest.raises(StoreRefused, match=r"at most 10000 rows at a time .*, and 40000 are needed"):
            empty.search(Asked(QUERY, "", (), 40_000))

    def test_what_the_server_refuses_is_said_and_not_logged(
        self, empty: VectorStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        empty.put([ROWS[0]])
        wrong = replace(ROWS[1], vector=b"\0<\0<")
        with pytest.raises(StoreRefused, match=r"refused.*vector.*length"):
            empty.put([wrong])
        with pytest.raises(StoreRefused, match="refused 1 of 2 rows"):
            empty.put([wrong, ROWS[2]])
        assert caplog.text == ""

    def test_what_was_put_outlives_a_kill_of_the_server(self, tmp_path: Path) -> None:
        with closing(self.open_store(tmp_path, True)) as store:
            store.put(ROWS)
        self.server.kill()
        self.server.start()
        with closing(self.open_store(tmp_path, False)) as store:
            assert store.held([*HELD]) == HELD
            assert len(store.search(Asked(QUERY, "", (), len(ROWS) + 5))) == len(ROWS)
            store.drop()

    def test_a_server_that_goes_away_is_named(self, tmp_path: Path) -> None:
        with closing(self.open_store(tmp_path, True)) as store:
            self.server.kill()
            try:
                with pytest.raises(StoreUnavailable, match=r"at http://127.* does not answer"):
                    store.put(ROWS)
            finally:
                self.server.start()
            store.put(ROWS)
            assert store.held([*HELD]) == HELD
            store.drop()

    def test_a_key_that_is_not_known_is_refused(self) -> None:
        with pytest.raises(StoreRefused, match=r"'Memories' at http://127.* refused.*401"):
            opened({**self.server.settings, "auth_client_secret": "another"}, True)

    def test_a_grpc_port_that_does_not_answer_is_named(self) -> None:
        (closed,) = free_ports(1)
        with pytest.raises(StoreUnavailable, match=rf"not its gRPC at 127\.0\.0\.1:{closed} \(grpc_host"):
            opened({**self.server.settings, "grpc_port": closed}, True)


def opened(settings: dict[str, Any], new: bool, name: str = "memories") -> VectorStore:
    return open_store("weaviate", {**settings, "collection_name": name}, DIMENSIONS, new)


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreUnavailable, match=r"'Memories' at http://127\.0\.0\.1:9 does not answer"):
        opened({"cluster_url": "http://127.0.0.1:9"}, True)


@pytest.mark.parametrize("url", ["localhost:8080", "http://", "http://a:0", "http://a:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="weaviate: cluster_url"):
        checked_settings("weaviate", {"cluster_url": url, "collection_name": "memories"})
