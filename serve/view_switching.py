"""All workers with a projection go over to another generation together, or none does (serve/switches.py is a worker's side)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import aiohttp

from memfold.memory.errors import InvalidInput, ViewUnreachable
from memfold.serve.view_address import ViewAddress
from memfold.serve.view_reaching import LONG, reaching

WHOLE_WITHIN = 20.0
"""Seconds for partitions that change hands to find their next owner."""
_AGAIN = 0.2


async def switch_all(
    session: aiohttp.ClientSession, workers: Sequence[ViewAddress], projection: str, generation: str
) -> None:
    """Raises ViewUnreachable, InvalidInput where a worker cannot; then every worker goes on where it was."""
    path, deadline = f"/v1/generation/{projection}/{generation}", time.monotonic() + WHOLE_WITHIN
    while True:
        try:
            told = await asyncio.gather(*(_prepared(session, one, path, generation) for one in workers))
            held = sorted(partition for one in told for partition in one["held"])
            if told and held == list(range(told[0]["of"])):
                break
            if time.monotonic() > deadline:
                of = told[0]["of"] if told else "none"
                raise ViewUnreachable(
                    f"the workers with {projection} have partitions {held} of {of}; each must have one owner "
                    "before another generation is served: see `memfold status`, then try again"
                )
        except BaseException:
            await _drop(session, workers, path)
            raise
        await _drop(session, workers, path)
        await asyncio.sleep(_AGAIN)
    for one in workers:
        with reaching(one):
            async with session.post(one.url + path, timeout=LONG) as response:
                if response.status != 200:
                    raise ViewUnreachable(f"the worker {one.pid} did not go over: {await response.text()}")


async def _prepared(
    session: aiohttp.ClientSession, worker: ViewAddress, path: str, generation: str
) -> dict[str, Any]:
    with reaching(worker):
        async with session.put(worker.url + path, timeout=LONG) as response:
            if response.status == 409:
                raise InvalidInput(
                    f"the worker {worker.pid} cannot go over to {generation} and stays where it is: "
                    f"{await response.text()}; its environment is that of `memfold up`"
                )
            if response.status != 200:
                raise ViewUnreachable(f"the worker {worker.pid} did not go over: {await response.text()}")
            found: dict[str, Any] = await response.json()
            return found


async def _drop(session: aiohttp.ClientSession, workers: Sequence[ViewAddress], path: str) -> None:
    await asyncio.gather(
        *(_dropped(session, worker.url + path) for worker in workers), return_exceptions=True
    )


async def _dropped(session: aiohttp.ClientSession, url: str) -> None:
    async with session.delete(url, timeout=LONG):
        pass
