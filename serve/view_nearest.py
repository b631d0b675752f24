"""Searches of a mirror, answered by the process that keeps it: a store in a folder has one process that opens it.

MessagePack, for its times and its bytes: a filter may hold a moment, and JSON would give it back as a text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import msgspec
from aiohttp import web

from memfold.memory.errors import InvalidInput, ViewUnreachable
from memfold.memory.ports import Hit
from memfold.serve.view_client import ViewClient
from memfold.stores.errors import StoreRefused, StoreUnavailable
from memfold.stores.searching import NearestAsked

PATIENCE = 30.0
_REFUSED = {400: InvalidInput, 422: StoreRefused, 503: StoreUnavailable}


def add_nearest(application: web.Application, answer: Callable[[NearestAsked], list[Hit]]) -> None:
    """The route; `answer` may block and is called in a thread."""

    async def nearest(request: web.Request) -> web.Response:
        asked = msgspec.msgpack.decode(await request.read(), type=NearestAsked)
        try:
            hits = await asyncio.to_thread(answer, asked)
        except (InvalidInput, StoreRefused, StoreUnavailable) as refused:
            status = next(code for code, kind in _REFUSED.items() if isinstance(refused, kind))
            return web.Response(status=status, text=str(refused))
        return web.Response(body=msgspec.msgpack.encode(hits), content_type="application/msgpack")

    application.router.add_post("/v1/nearest", nearest)


async def nearest(views: ViewClient, role: str, asked: NearestAsked) -> list[Hit]:
    """The caller's side. Raises ViewUnreachable when no process keeps the mirror for 30 s, else as `stores.searching.nearest`."""
    body = msgspec.msgpack.encode(asked)

    async def post(session: aiohttp.ClientSession, url: str, wait: float) -> tuple[int, bytes]:
        limit = aiohttp.ClientTimeout(total=wait)
        async with session.post(f"{url}/v1/nearest", data=body, timeout=limit) as response:
            return response.status, await response.read()

    answer = await views.ask(role, PATIENCE, post)
    if answer is None:
        name = role.removeprefix("mirror-")
        raise ViewUnreachable(
            f"nothing keeps the mirror {name!r}: `memfold projection run {name}`, or start the stack again (`memfold up`)"
        )
    status, content = answer
    if status in _REFUSED:
        raise _REFUSED[status](content.decode())
    return msgspec.msgpack.decode(content, type=list[Hit])
