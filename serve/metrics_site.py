"""Where a worker serves /metrics and /healthz, on a port of its own: the view's port is for callers, and wants a token."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from memfold.memory.errors import BrokerUnreachable, InvalidInput
from memfold.providers.breaker import BreakerState
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.serve.metering import Metering
from memfold.serve.metrics import Places, Standing, exposition
from memfold.serve.metrics_settings import MetricsSettings
from memfold.serve.missed_reads import MissedReads
from memfold.serve.parts import Parts
from memfold.serve.scrubbed import Scrubbed
from memfold.serve.sealed import sealed_until
from memfold.serve.verified import last_verified
from memfold.streams.progress import Progress

logger = logging.getLogger(__name__)

TRIED = 16
"""Ports that are tried: as many workers as one machine has any use for."""


class MetricsSite:
    """Answers for one worker; `progress`, `quarantined`, `breakers` and `scrubbed` are the worker's own, read when somebody asks."""

    def __init__(
        self,
        parts: Parts,
        progress: Mapping[str, Progress],
        quarantined: Mapping[str, int],
        breakers: Callable[[], list[BreakerState]],
        scrubbed: Callable[[], Scrubbed],
        metering: Metering,
    ) -> None:
        self._parts, self._progress = parts, progress
        self._quarantined, self._breakers, self._metering = quarantined, breakers, metering
        self._scrubbed = scrubbed
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthz)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, settings: MetricsSettings) -> None:
        """On the first port that is free. Raises InvalidInput when none of the ports is free."""
        assert settings.port is not None
        await self._runner.setup()
        for port in range(settings.port, settings.port + TRIED):
            try:
                await web.TCPSite(self._runner, settings.host, port).start()
            except OSError as taken:
                if taken.errno != errno.EADDRINUSE:
                    raise
                continue
            logger.info("metrics at http://%s:%s/metrics", settings.host, port)
            return
        raise InvalidInput(
            f"no port from {settings.port} to {settings.port + TRIED - 1} is free on {settings.host} for metrics; "
            "set MEMFOLD_METRICS__PORT to another one"
        )

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        try:
            standing = await self._standing()
        except BrokerUnreachable as away:
            # No half answer: what Prometheus then sees is `up == 0`, which is true.
            raise web.HTTPServiceUnavailable(text=str(away)) from away
        body = await asyncio.to_thread(exposition, standing, self._metering.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _healthz(self, _request: web.Request) -> web.Response:
        """The process lives and its loop turns. A worker that failed ends, so there is no more to tell."""
        return web.Response(text="ok\n")

    async def _standing(self) -> Standing:
        parts = self._parts
        ends, pending = await asyncio.gather(
            asyncio.to_thread(parts.ends), parts.pending(parts.settings.tenant)
        )
        return Standing(
            positions={role: _places(role, progress) for role, progress in self._progress.items()},
            ends=ends,
            quarantined=dict(self._quarantined),
            breakers=self._breakers(),
            pending=pending,
            missed_reads=MissedReads(parts.settings.folder).count(),
            sealed=await asyncio.to_thread(sealed_until, parts.settings.folder, ends),
            verified=await asyncio.to_thread(last_verified, parts.settings.folder),
            scrubbed=self._scrubbed(),
            now=time.time(),
        )


def _places(role: str, progress: Progress) -> Places:
    topic = COMMANDS if role == "decide" else EVENTS
    return {(topic, partition): offset for partition, offset in progress.offsets.items()}
