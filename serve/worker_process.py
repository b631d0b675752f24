"""The life of a worker process: its event loop, its signals, its start and its end."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import uvloop

from memfold.infra.stack_file import running_stack
from memfold.serve.parts import Parts
from memfold.serve.settings import Settings
from memfold.serve.stopping import when_told_to_stop
from memfold.serve.worker import Worker

SWITCH_INTERVAL = 0.0002
"""Seconds that a thread may keep the interpreter. Whatever lets go of it, a query of SQLite or an array's sum, waits so long to get it
back where a fold's thread has work, and the event loop with it: Python's own 5 ms are too long for that.
"""

THREADS = 32
"""Of the event loop's own; most of them wait for a broker or a disk. Folds have theirs (streams/folding.py)."""
ENDS = 30.0
"""Seconds that a process may take to end once it has failed. A thread that hangs in native code would keep it for ever, and nobody would
start it again. Whoever tells it to stop has a deadline of their own, which may be longer: a shard is put in order first.
"""
ARENAS, _M_ARENA_MAX = 2, -8
"""glibc's malloc.h."""
GIVES_BACK = 30.0
"""Seconds between two times that free memory is given back. A table of vectors that is put in order leaves some 50 MB of it, scattered,
and glibc by itself gives back only what lies at an end.
"""

logger = logging.getLogger(__name__)


class Running(Protocol):
    """What a worker process runs."""

    roles: tuple[str, ...]

    async def start(self) -> None: ...
    async def run(self, stop: asyncio.Event) -> None: ...
    async def stop(self) -> None: ...


def run_worker(settings: Settings, roles: Sequence[str], member: str, ready: Callable[[], None]) -> None:
    """Run `roles` until SIGTERM or SIGINT, or until one of them fails; raises what it failed with."""
    run_process(settings, roles, lambda parts: Worker(parts, roles, member), ready)


def run_process(
    settings: Settings, roles: Sequence[str], made: Callable[[Parts], Running], ready: Callable[[], None]
) -> None:
    """Run what is made of the opened parts, with the rights of `roles`, until a signal or its failure.

    On uvloop, in Faust's own threads too: most of what Faust costs is turns of the event loop.
    """
    # Native code lies below: if it crashes, the log says where.
    faulthandler.enable()
    sys.setswitchinterval(SWITCH_INTERVAL)
    _few_arenas()
    uvloop.install()
    asyncio.run(_run(settings, roles, made, ready))


async def _run(
    settings: Settings, roles: Sequence[str], made: Callable[[Parts], Running], ready: Callable[[], None]
) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "memfold"))
    stop = asyncio.Event()
    when_told_to_stop(stop.set)
    stack = running_stack(settings.folder)
    bootstrap_servers = settings.bootstrap_servers or (stack.bootstrap_servers if stack else None)
    parts = await asyncio.to_thread(Parts.open, settings, bootstrap_servers, roles)
    worker = made(parts)
    giving_back = asyncio.create_task(_give_back(), name="memory given back")
    try:
        await worker.start()
        logger.info("worker %s follows %s", os.getpid(), ", ".join(worker.roles))
        ready()
        await worker.run(stop)
    except BaseException:
        _end_within(ENDS)
        raise
    finally:
        giving_back.cancel()
        await worker.stop()
        await parts.close()


async def _give_back() -> None:
    """Every GIVES_BACK seconds, where there is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(GIVES_BACK)
        # Some milliseconds; ctypes lets go of the interpreter meanwhile.
        await asyncio.to_thread(trim, 0)


def _few_arenas() -> None:
    """glibc gives threads arenas of their own, eight for each core, and what is free in one is of no use to the others: LanceDB's
    threads, some dozens, kept a third of a worker's memory that way. Elsewhere, or where the environment says how many, nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(_M_ARENA_MAX, ARENAS)


def _end_within(seconds: float) -> None:
    def end() -> None:
        logger.error(
            "this process did not end within %g s and is given up; what it had taken is read from the log again",
            seconds,
        )
        faulthandler.dump_traceback()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
