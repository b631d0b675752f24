"""All workers with a projection go over to another generation together, or none does (serve/switches.py is a worker's side)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from memfold.memory.errors import InvalidInput, ViewUnreachable
from memfold.projections.generations import Generations
from memfold.projections.proposals import Proposals
from memfold.serve.view_address import ViewAddress
from memfold.serve.view_asked import PROPOSAL
from memfold.serve.view_reaching import LONG, reaching

WHOLE_WITHIN = 20.0
"""Seconds for partitions that change hands to find their next owner."""
_AGAIN = 0.2


async def switch_all(
    session: aiohttp.ClientSession,
    workers: Callable[[], Sequence[ViewAddress]],
    generations: Generations,
    generation: str,
) -> None:
    """`workers` that run the projection now; asked anew for each try.

    Raises ViewUnreachable, InvalidInput where a worker cannot; then every worker goes on where it was.
    """
    proposals, deadline = Proposals(generations), time.monotonic() + WHOLE_WITHIN
    while True:
        asked, proposal = workers(), proposals.make(generation)
        held, of = list[int](), 0
        path = f"/v1/generation/{generations.folder.name}/{generation}?{PROPOSAL}={proposal}"
        try:
            told = await asyncio.gather(*(_prepared(session, one, path, generation) for one in asked))
            held = sorted(partition for one in told for partition in one["held"])
            of = told[0]["of"] if told else 0
            if told and held == list(range(of)) and await _gone_over(session, asked, path):
                return
        except ViewUnreachable:
            # One that died after the first had moved the pointer comes back in the new generation.
            if generations.served() != generation:
                raise
        finally:
            # Where the pointer has moved there is nothing to withdraw, and who is dropped goes where it points.
            proposals.withdraw(proposal)
            await _drop(session, asked, path)
        if generations.served() == generation:
            return
        if time.monotonic() > deadline:
            raise ViewUnreachable(
                f"the workers with {generations.folder.name} have partitions {held} of {of or 'none'}, or did not wait for each other; "
                "each must have one owner before another generation is served: see `memfold status`, then try again"
            )
        await asyncio.sleep(_AGAIN)


async def _gone_over(session: aiohttp.ClientSession, workers: Sequence[ViewAddress], path: str) -> bool:
    """False where a worker waits no longer. Once the first has moved the pointer the others follow it, told or not."""
    for one in workers:
        with reaching(one):
            async with session.post(one.url + path, timeout=LONG) as response:
                if response.status in (409, 421):
                    return False
                if response.status != 200:
                    raise _refused(one, await response.text())
    return True


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
                raise _refused(worker, await response.text())
            found: dict[str, Any] = await response.json()
            return found


def _refused(worker: ViewAddress, said: str) -> ViewUnreachable:
    return ViewUnreachable(f"the worker {worker.pid} did not go over: {said}")


async def _drop(session: aiohttp.ClientSession, workers: Sequence[ViewAddress], path: str) -> None:
    await asyncio.gather(
        *(_dropped(session, worker.url + path) for worker in workers), return_exceptions=True
    )


async def _dropped(session: aiohttp.ClientSession, url: str) -> None:
    async with session.delete(url, timeout=LONG):
        pass
