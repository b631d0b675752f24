"""A worker that does not answer, named: which one it is, and what to do if it will not come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from memfold.memory.errors import ViewUnreachable
from memfold.serve.view_address import ViewAddress, name_of


@contextmanager
def reaching(address: ViewAddress) -> Iterator[None]:
    """Of another machine's worker it is not known whether it lives."""
    try:
        yield
    except aiohttp.ClientConnectionError as away:
        raise ViewUnreachable(
            f"the worker {address.pid} of {address.machine} does not answer at {address.url} ({away}); if it will not come back, remove "
            f"{name_of(address.machine, address.pid, address.roles)} from run/views in the home"
        ) from away
