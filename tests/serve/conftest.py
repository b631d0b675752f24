"""A running stack for the tests of the whole path: real broker, real workers, started once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from memfold import AsyncMemory
from memfold.infra.ports import free_ports
from memfold.serve.settings import Settings
from tests.serve.otlp_receiver import OtlpReceiver
from tests.serve.stacks import running_in


@pytest.fixture(scope="session")
def receiver() -> Iterator[OtlpReceiver]:
    """Where the stack's workers send their traces."""
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, receiver: OtlpReceiver) -> Iterator[Settings]:
    """The settings of a stack that runs for the session; each test uses users of its own."""
    given: dict[str, Any] = {
        "metrics": {"port": free_ports(1)[0]},
        "log_format": "json",
        "otel_endpoint": receiver.url,
    }
    with pytest.MonkeyPatch.context() as environment:
        # The workers have it from here: a test need not wait for the SDK's five seconds.
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with running_in(tmp_path_factory.mktemp("stack"), **given) as settings:
            environment.undo()
            yield settings


@pytest.fixture
async def memory(stack: Settings) -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(home=stack.home) as memory:
        yield memory
