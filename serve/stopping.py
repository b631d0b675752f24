"""The signals by which a process is asked to stop: Ctrl-C's, and those of `kill` and of a container's stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

STOPPING = (signal.SIGINT, signal.SIGTERM)


def when_told_to_stop(told: Callable[[], object]) -> None:
    """Have the running loop call it at each of them, between two of its steps."""
    for each in STOPPING:
        asyncio.get_running_loop().add_signal_handler(each, told)
