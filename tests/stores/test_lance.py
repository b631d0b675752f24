"""LanceDB as a mirror: in a folder, and in a bucket of S3Proxy, which speaks S3's protocol over a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest

from memfold.infra.ports import free_ports
from memfold.memory.errors import InvalidInput
from memfold.stores.adapters import checked_settings, open_store
from memfold.stores.errors import StoreUnavailable
from memfold.stores.port import VectorStore
from tests.stores.jars import Jar
from tests.stores.store_contract import StoreContract
from tests.strategies import DIMENSIONS

BUCKET = "memories"
S3PROXY = Jar(
    "org.gaul",
    "s3proxy",
    "4.0.0",
    "jar-with-dependencies",
    "8842c29ef4cf50c2488cff1da23df3428526c10905998384586e916cc98a2c67",
)


class TestLanceInAFolder(StoreContract):
    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        config = {"uri": str(folder / "lance"), "collection_name": "memories"}
        return open_store("lancedb", config, DIMENSIONS, new)


class TestLanceInABucket(StoreContract):
    ENDPOINT: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def s3(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        with s3_server(tmp_path_factory.mktemp("s3")) as TestLanceInABucket.ENDPOINT:
            yield

    @staticmethod
    def open_store(folder: Path, new: bool) -> VectorStore:
        return in_bucket(TestLanceInABucket.ENDPOINT, folder.name, new)


def in_bucket(endpoint: str, path: str, new: bool) -> VectorStore:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    options = {**keys, "endpoint": endpoint, "region": "us-east-1", "allow_http": "true"}
    config = {
        "uri": f"s3://{BUCKET}/{path}",
        "storage_options": {**options, "client_max_retries": "1", "timeout": "5s"},
        "collection_name": "memories",
    }
    return open_store("lancedb", config, DIMENSIONS, new)


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """The address of an S3Proxy with an empty bucket in a folder."""
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    (folder / "data" / BUCKET).mkdir(parents=True)
    properties = folder / "s3proxy.conf"
    properties.write_text(
        f"s3proxy.endpoint={endpoint}\ns3proxy.authorization=none\njclouds.provider=filesystem-nio2\n"
        f"jclouds.filesystem.basedir={folder / 'data'}\njclouds.identity=none\njclouds.credential=none\n"
    )
    server = S3PROXY.start(folder / "s3proxy.log", ["--properties", str(properties)], endpoint)
    try:
        yield endpoint
    finally:
        server.kill()
        server.wait()


def test_a_bucket_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreUnavailable, match=rf"s3://{BUCKET}/.* does not answer"):
        in_bucket("http://127.0.0.1:9", uuid4().hex, True)


def test_options_may_be_json_as_a_command_line_gives_them(tmp_path: Path) -> None:
    config = {"uri": str(tmp_path), "collection_name": "memories"}
    checked = checked_settings("lancedb", {**config, "storage_options": '{"region": "eu-west-1"}'})
    assert checked.model_dump()["storage_options"] == {"region": "eu-west-1"}
    with pytest.raises(InvalidInput, match="storage_options: Value error"):
        checked_settings("lancedb", {**config, "storage_options": "eu-west-1"})
