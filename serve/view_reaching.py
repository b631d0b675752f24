"""Reaching a worker: how long it may take, and one that does not answer named, with what to do if it will not come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from memfold.memory.errors import ViewUnreachable
from memfold.serve.view_address import ViewAddress, name_of

_CONNECTING = 2.0
"""Seconds to reach a worker: one whose machine is gone answers nothing at all."""


def limit(seconds: float) -> aiohttp.ClientTimeout:
    """For one request."""
    return aiohttp.ClientTimeout(total=seconds, sock_connect=min(_CONNECTING, seconds))


LONG = limit(600)


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
