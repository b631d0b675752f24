"""Asks the workers' views: the caller's side of waiting for a write and of reading relations."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec

from memfold.memory.errors import ShardDamaged, ViewUnreachable
from memfold.memory.ports import About, Around, Relation, Walk
from memfold.memory.walking import around
from memfold.projections.base import Standing
from memfold.projections.generations import Generations
from memfold.schemas.records import Scope
from memfold.serve.first_answer import first_answer
from memfold.serve.settings import Settings
from memfold.serve.view_address import ViewAddress, addresses
from memfold.serve.view_asked import (
    HELD,
    LONGEST_WAIT,
    OF,
    OFFSET,
    ExportAsked,
    RelationsAsked,
    WalkAsked,
)
from memfold.serve.view_reaching import LONG, limit, reaching
from memfold.serve.view_switching import switch_all
from memfold.streams.outcomes import Outcome

_AGAIN = 0.1
_GRAPH_PATIENCE = 10.0
_EXPORT_PATIENCE = 60.0


def views_of(settings: Settings) -> ViewClient:
    """The client of a deployment's workers."""
    return ViewClient(settings.folder, settings.view_token(), settings.view.ca)


class ViewClient:
    """One per process and event loop. Workers that restart are waited for until the caller's time is up."""

    def __init__(self, home: Path, token: str, ca: Path | None = None) -> None:
        self._home, self._ca = home, ca
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None
        self._known: list[ViewAddress] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            trusted = ssl.create_default_context(cafile=self._ca) if self._ca else True
            connector = aiohttp.TCPConnector(limit=0, ssl=trusted)
            self._session = aiohttp.ClientSession(headers=self._headers, connector=connector)
        return self._session

    async def _ask(self, role: str, timeout: float, request: Callable[[str, float], Awaitable[Any]]) -> Any:
        """The first answer of a worker with the role; None when none comes in time. `request` gives None for "not me"."""
        deadline = time.monotonic() + timeout
        self._known = self._known or addresses(self._home)
        while (left := deadline - time.monotonic()) > 0:
            urls = [known.url for known in self._known if role in known.roles]
            wait = min(left, LONGEST_WAIT)
            answer = await first_answer([partial(request, url, wait) for url in urls])
            if answer is not None:
                return answer
            await asyncio.sleep(_AGAIN)
            self._known = addresses(self._home)
        return None

    async def _get(self, url: str, wait: float) -> tuple[bytes, str] | None:
        async with self._open().get(
            url, params={"wait": f"{wait:.3f}"}, timeout=limit(wait + 5.0)
        ) as response:
            if response.status in (421, 504):
                return None
            response.raise_for_status()
            return await response.read(), response.headers.get(OFFSET, "")

    async def outcome(self, partition: int, command_id: str, timeout: float) -> Outcome | None:
        """Offset and bytes of the event that answers a command, None when it is not decided in time."""
        path = f"/v1/outcome/{partition}/{command_id}"
        answer = await self._ask("decide", timeout, lambda url, wait: self._get(url + path, wait))
        return None if answer is None else (int(answer[1]), answer[0])

    async def reach(self, role: str, partition: int, offset: int, timeout: float) -> bool:
        """Whether a projection comes to an offset in time."""
        path = f"/v1/position/{role}/{partition}/{offset}"
        return await self._ask(role, timeout, lambda url, wait: self._get(url + path, wait)) is not None

    async def relations(
        self,
        tenant: str,
        subject: str | None,
        scope: Scope,
        relationship: str | None = None,
        about: About | None = None,
        limit: int = 1000,
        as_of: datetime | None = None,
    ) -> list[Relation]:
        """As RelationGraph. Raises ViewUnreachable when no worker with the graph answers for 10 s."""
        asked = RelationsAsked(tenant, subject, scope, relationship, about, limit, as_of)
        if subject is None:
            return (await self._everywhere("relations", asked))[:limit]
        return msgspec.json.decode(await self._graph("relations", asked), type=list[Relation])

    async def around(self, tenant: str, subject: str | None, scope: Scope, walk: Walk) -> Around:
        """As RelationGraph. Raises as `relations`."""
        if subject is None:
            return around(await self._everywhere("known", WalkAsked(tenant, None, scope, walk)), walk)
        found = await self._graph("around", WalkAsked(tenant, subject, scope, walk))
        return msgspec.json.decode(found, type=Around)

    async def export(self, tenant: str, subject: str, scope: Scope, format: str) -> str:
        """As GraphExport. Raises as `relations`."""
        asked = ExportAsked(tenant, subject, scope, format)
        return (await self._graph("export", asked, patience=_EXPORT_PATIENCE)).decode()

    async def _graph(self, path: str, asked: msgspec.Struct, patience: float = _GRAPH_PATIENCE) -> bytes:
        """What the worker with the graph answers."""
        body = msgspec.json.encode(asked)

        async def post(url: str, wait: float) -> bytes | None:
            async with self._open().post(f"{url}/v1/{path}", data=body, timeout=limit(wait)) as response:
                if response.status == 421:
                    return None
                response.raise_for_status()
                return await response.read()

        found: bytes | None = await self._ask("graph", patience, post)
        if found is None:
            raise self._no_graph()
        return found

    async def _everywhere(self, path: str, asked: msgspec.Struct) -> list[Relation]:
        """What the workers with the graph answer, each for its partitions, oldest first; waits for partitions that change hands."""
        body, deadline = msgspec.json.encode(asked), time.monotonic() + _GRAPH_PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            urls = [one.url for one in addresses(self._home) if "graph" in one.roles]
            parts = await asyncio.gather(*(self._part(f"{url}/v1/{path}", body, left) for url in urls))
            told = [part for part in parts if part is not None]
            if told and {partition for held, _, _ in told for partition in held} == set(range(told[0][1])):
                # One that changed hands between two answers is in both: by its id it counts once.
                once = {one.assertion_id: one for _, _, found in told for one in found}
                return sorted(once.values(), key=lambda one: one.since)
            await asyncio.sleep(_AGAIN)
        raise self._no_graph()

    async def _part(self, url: str, body: bytes, wait: float) -> tuple[set[int], int, list[Relation]] | None:
        """(partitions, of how many, relations) of one worker; None where it does not answer."""
        try:
            async with self._open().post(url, data=body, timeout=limit(wait)) as response:
                response.raise_for_status()
                held = {int(each) for each in response.headers[HELD].split(",") if each}
                found = msgspec.json.decode(await response.read(), type=list[Relation])
                return held, int(response.headers[OF]), found
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _no_graph(self) -> ViewUnreachable:
        return ViewUnreachable(
            f"no worker with the graph answers in {self._home}; see `memfold status`, start one with `memfold up`"
        )

    async def ask(
        self,
        role: str,
        timeout: float,
        request: Callable[[aiohttp.ClientSession, str, float], Awaitable[Any]],
    ) -> Any:
        """What a worker with the role answers to `request(session, url, seconds)`; None when none answers in time."""
        return await self._ask(role, timeout, lambda url, wait: request(self._open(), url, wait))

    async def status(self) -> list[dict[str, Any]]:
        """What every worker that is alive says of itself."""
        found: list[dict[str, Any]] = []
        for address in addresses(self._home):
            try:
                async with self._open().get(f"{address.url}/v1/status", timeout=limit(5)) as response:
                    response.raise_for_status()
                    found.append({"pid": address.pid, "roles": list(address.roles), **await response.json()})
            except (aiohttp.ClientError, TimeoutError):
                found.append({"pid": address.pid, "roles": list(address.roles), "answers": False})
        return found

    async def pending(self, tenant: str) -> int | None:
        """Memories of a tenant that wait to be decided again, as a worker of the home reads them; None where it cannot.

        Raises ViewUnreachable when none answers.
        """
        for address in addresses(self._home):
            url, asked = f"{address.url}/v1/pending", {"tenant": tenant}
            try:
                async with self._open().get(url, params=asked, timeout=limit(5)) as response:
                    response.raise_for_status()
                    return msgspec.json.decode(await response.read(), type=int | None)
            except (aiohttp.ClientError, TimeoutError):
                continue
        raise ViewUnreachable(f"no worker answers in {self._home}; start one with `memfold up`")

    async def standings(self) -> dict[tuple[str, int], Standing]:
        """How each (projection, partition) that a living worker owns stands."""
        found: dict[tuple[str, int], Standing] = {}
        for address in addresses(self._home):
            with reaching(address):
                async with self._open().get(f"{address.url}/v1/standings", timeout=LONG) as response:
                    response.raise_for_status()
                    answer = msgspec.json.decode(await response.read(), type=dict[str, dict[int, Standing]])
            for projection, shards in answer.items():
                found |= {(projection, partition): standing for partition, standing in shards.items()}
        return found

    async def switch(self, projection: str, generation: str) -> None:
        """Have the workers with a projection go over to a generation, all or none. Raises ViewUnreachable, InvalidInput."""
        generations = Generations(self._home / "projections", projection)

        def with_it() -> list[ViewAddress]:
            return [address for address in addresses(self._home) if projection in address.roles]

        await switch_all(self._open(), with_it, generations, generation)

    async def copy(self, projection: str, partition: int, generation: str, timeout: float) -> bool:
        """Have the worker that owns a shard copy it for a verification; False when none has it in time. Raises ShardDamaged."""

        async def post(url: str, _wait: float) -> bool | None:
            path = f"/v1/copy/{projection}/{partition}/{generation}"
            async with self._open().post(url + path, timeout=LONG) as response:
                if response.status == 421:
                    return None
                if response.status == 409:
                    raise ShardDamaged(await response.text())
                response.raise_for_status()
                return True

        return await self._ask(projection, timeout, post) is not None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
