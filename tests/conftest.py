"""What every test may have: a real Kafka, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from memfold.infra.broker import Broker
from memfold.streams.connection import Connection

# No deadlines: the machine is shared, and a slow example is no wrong one.
settings.register_profile("memfold", deadline=None)
settings.load_profile("memfold")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: begun last it would run alone while the other process has nothing to do."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def connection(broker: Broker) -> Connection:
    return Connection(bootstrap_servers=broker.bootstrap)
