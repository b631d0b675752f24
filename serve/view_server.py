"""What a worker answers about the partitions it owns: outcomes of commands, how far it has come, relations, its state.

The owner of a shard answers for it, as in Kafka Streams' interactive queries: Oxigraph admits one process per directory, and a
caller that waits for its own write learns of it from the process that applied it. HTTP on loopback, with a token from the home.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from memfold.memory.errors import InvalidInput, ModelUnavailable, ShardDamaged
from memfold.projections.base import Standing
from memfold.projections.graph_index import OxigraphRelations
from memfold.providers.breaker import BreakerState
from memfold.schemas.partitions import partition_of
from memfold.serve.scrubbed import Scrubbed
from memfold.serve.switches import Switches
from memfold.serve.view_asked import (
    HELD,
    LONGEST_WAIT,
    OF,
    OFFSET,
    PROPOSAL,
    ExportAsked,
    RelationsAsked,
    WalkAsked,
)
from memfold.streams.outcomes import Outcome, Outcomes
from memfold.streams.progress import Progress

LookUp = Callable[[int, str], Awaitable[Outcome | None]]
"""(partition, command id) to the outcome that stands in the ledger and the log."""


Standings = Callable[[], Awaitable[dict[str, dict[int, Standing]]]]
"""{projection: {partition: how it stands}} of the shards that this process owns."""


Copy = Callable[[str, int, str], Awaitable[bool]]
"""Copy the served shard of (projection, partition) to where a generation has its copies; False when it is not this process's."""


Breakers = Callable[[], list[BreakerState]]
"""How the circuit breakers of the model endpoints of this process stand."""


Pending = Callable[[str], Awaitable[int | None]]
"""How many memories of a tenant wait to be decided again; None where the projection cannot be read."""


@dataclass(slots=True)
class View:
    """What one worker process can answer."""

    progress: Mapping[str, Progress]
    outcomes: Outcomes | None = None
    look_up: LookUp | None = None
    relations: OxigraphRelations | None = None
    standings: Standings | None = None
    switches: Switches | None = None
    quarantined: dict[str, int] = field(default_factory=dict)
    breakers: Breakers | None = None
    copy: Copy | None = None
    scrubbed: Callable[[], Scrubbed] | None = None
    pending: Pending | None = None
    partitions: int = 1

    def graph_of(self, tenant: str, subject: str | None) -> OxigraphRelations:
        """The graph, if the subject's partition is in it; without a subject, whatever this worker has. Raises HTTPMisdirectedRequest."""
        if self.relations is None:
            raise web.HTTPMisdirectedRequest(text="this worker has no graph")
        if subject is not None:
            partition = partition_of(tenant, subject, self.partitions)
            if partition not in self.progress["graph"].offsets:
                raise web.HTTPMisdirectedRequest(
                    text=f"this worker does not have the graph of partition {partition}"
                )
        return self.relations

    @property
    def held(self) -> dict[str, str]:
        """Which partitions of the graph an answer is about, and of how many, as headers."""
        return {HELD: ",".join(map(str, self.progress["graph"].offsets)), OF: str(self.partitions)}


def view_application(view: View, token: str) -> web.Application:
    """The routes of a view; every one wants the token."""
    expected = f"Bearer {token}"

    @web.middleware
    async def authorised(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "")
        if not hmac.compare_digest(shown.encode(), expected.encode()):
            raise web.HTTPUnauthorized(text="show the token from run/view.token in the home")
        return await handler(request)

    async def outcome(request: web.Request) -> web.Response:
        partition, command_id = int(request.match_info["partition"]), request.match_info["command_id"]
        if view.outcomes is None or view.look_up is None or partition not in view.progress["decide"].offsets:
            raise web.HTTPMisdirectedRequest(text=f"this worker does not decide partition {partition}")
        found = view.outcomes.known(command_id) or await view.look_up(partition, command_id)
        if found is None:
            waiting = view.outcomes.wait(command_id, _wait(request))
            found = await view.progress["decide"].while_owned(partition, waiting)
        if found is None:
            raise web.HTTPGatewayTimeout(text="not decided yet")
        return web.Response(body=found[1], headers={OFFSET: str(found[0])})

    async def position(request: web.Request) -> web.Response:
        role, partition = request.match_info["role"], int(request.match_info["partition"])
        if role not in view.progress or partition not in view.progress[role].offsets:
            raise web.HTTPMisdirectedRequest(
                text=f"this worker does not run {role} for partition {partition}"
            )
        progress, offset = view.progress[role], int(request.match_info["offset"])
        if not await progress.while_owned(partition, progress.reach(partition, offset, _wait(request))):
            raise web.HTTPGatewayTimeout(text="not applied yet")
        return web.Response()

    async def relations(request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=RelationsAsked)
        headers = view.held
        found = await view.graph_of(asked.tenant, asked.subject).relations(
            asked.tenant,
            asked.subject,
            asked.scope,
            asked.relationship,
            asked.about,
            asked.limit,
            asked.as_of,
        )
        return web.Response(body=msgspec.json.encode(found), headers=headers, content_type="application/json")

    async def around(request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=WalkAsked)
        graph = view.graph_of(asked.tenant, asked.subject)
        found = await graph.around(asked.tenant, asked.subject, asked.scope, asked.walk)
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def known(request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=WalkAsked)
        graph, headers = view.graph_of(asked.tenant, asked.subject), view.held
        found = await asyncio.to_thread(graph.known, asked.tenant, asked.subject, asked.scope, asked.walk)
        return web.Response(body=msgspec.json.encode(found), headers=headers, content_type="application/json")

    async def export(request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=ExportAsked)
        graph = view.graph_of(asked.tenant, asked.subject)
        found = await graph.export(asked.tenant, asked.subject, asked.scope, asked.format)
        return web.Response(body=found.encode(), content_type="text/plain", charset="utf-8")

    async def status(_request: web.Request) -> web.Response:
        positions = {role: progress.offsets for role, progress in view.progress.items()}
        breakers = [state._asdict() for state in view.breakers()] if view.breakers else []
        answer = {
            "positions": positions,
            "quarantined": view.quarantined,
            "breakers": breakers,
            "scrub": view.scrubbed() if view.scrubbed else None,
        }
        body = msgspec.json.encode(answer)
        return web.Response(body=body, content_type="application/json")

    async def pending(request: web.Request) -> web.Response:
        if view.pending is None:
            raise web.HTTPMisdirectedRequest(text="this worker does not read the vectors")
        return web.json_response(await view.pending(request.query["tenant"]))

    async def standings(_request: web.Request) -> web.Response:
        found = await view.standings() if view.standings else {}
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def prepare(request: web.Request) -> web.Response:
        projection, generation = request.match_info["projection"], request.match_info["generation"]
        try:
            proposal = request.query[PROPOSAL]
            held = await view.switches.prepare(projection, generation, proposal) if view.switches else None
        except (InvalidInput, ModelUnavailable) as refused:
            # The old generation is served on; what the new one lacks here is for its builder to read.
            raise web.HTTPConflict(text=str(refused)) from refused
        if held is None:
            raise web.HTTPMisdirectedRequest(text=f"this worker does not run {projection}")
        return web.json_response({"held": held, "of": view.partitions})

    async def drop(request: web.Request) -> web.Response:
        if view.switches:
            await view.switches.drop(request.match_info["projection"])
        return web.Response()

    async def go_over(request: web.Request) -> web.Response:
        projection, generation = request.match_info["projection"], request.match_info["generation"]
        try:
            over = view.switches is not None and await view.switches.go_over(
                projection, request.query[PROPOSAL]
            )
        except InvalidInput as withdrawn:
            raise web.HTTPConflict(text=str(withdrawn)) from withdrawn
        if not over:
            raise web.HTTPMisdirectedRequest(text=f"{generation} of {projection} was not prepared")
        return web.Response()

    async def copy(request: web.Request) -> web.Response:
        projection, generation = request.match_info["projection"], request.match_info["generation"]
        partition = int(request.match_info["partition"])
        try:
            copied = view.copy is not None and await view.copy(projection, partition, generation)
        except ShardDamaged as damaged:
            raise web.HTTPConflict(text=str(damaged)) from damaged
        if not copied:
            raise web.HTTPMisdirectedRequest(text=f"this worker does not have {projection}/{partition}")
        return web.Response()

    application = web.Application(middlewares=[authorised])
    application.router.add_get("/v1/outcome/{partition:\\d+}/{command_id}", outcome)
    application.router.add_get("/v1/position/{role}/{partition:\\d+}/{offset:\\d+}", position)
    application.router.add_post("/v1/relations", relations)
    application.router.add_post("/v1/around", around)
    application.router.add_post("/v1/export", export)
    application.router.add_get("/v1/status", status)
    application.router.add_get("/v1/pending", pending)
    application.router.add_get("/v1/standings", standings)
    application.router.add_post("/v1/known", known)
    application.router.add_put("/v1/generation/{projection}/{generation}", prepare)
    application.router.add_delete("/v1/generation/{projection}/{generation}", drop)
    application.router.add_post("/v1/generation/{projection}/{generation}", go_over)
    application.router.add_post("/v1/copy/{projection}/{partition:\\d+}/{generation:g\\d+}", copy)
    return application


def _wait(request: web.Request) -> float:
    return min(float(request.query.get("wait", "0")), LONGEST_WAIT)
