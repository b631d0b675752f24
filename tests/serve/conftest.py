"""A running stack for the tests of the whole path: real broker, real workers, started once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from memfold import AsyncMemory
from memfold.infra.ports import free_ports
from memfold.serve.settings import Settings
from tests.serve.stacks import running_in


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a stack that runs for the session; each test uses users of its own."""
    metrics = {"port": free_ports(1)[0]}
    with running_in(tmp_path_factory.mktemp("stack"), metrics=metrics, log_format="json") as settings:
        yield settings


@pytest.fixture
async def memory(stack: Settings) -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(home=stack.home) as memory:
        yield memory
