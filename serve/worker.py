"""A worker process: any of the four processors and the sealer, together or alone, and the view that answers for them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial

from memfold.audit.sealing import Sealer
from memfold.projections.archive import ArchiveShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.replay.source import KafkaSource
from memfold.schemas.partitions import COMMANDS, EVENTS, KEPT
from memfold.serve.embedding import check_embedder
from memfold.serve.graph_snapshots import keep_snapshots
from memfold.serve.metrics_site import MetricsSite
from memfold.serve.parts import Parts
from memfold.serve.roles import checked_roles
from memfold.serve.scrub import Scrub, Scrubbing
from memfold.serve.scrubbed import Scrubbed
from memfold.serve.switches import Switches
from memfold.serve.tracing import Tracing
from memfold.serve.until_stopped import cancelled, until_stopped
from memfold.serve.view_server import View, view_application
from memfold.serve.view_site import serve_view
from memfold.serve.worker_deciding import WorkerDeciding
from memfold.serve.worker_shards import WorkerShards
from memfold.streams.archiving import LINGER, ArchiveSink
from memfold.streams.decider import DecideSink
from memfold.streams.follower import Sink
from memfold.streams.processor import Processor
from memfold.streams.progress import Progress
from memfold.streams.quarantine import Quarantine
from memfold.streams.sealing import SealRole
from memfold.streams.upkeep import Upkeep
from memfold.streams.writer import LogWriter

GATHER_MS = 20
"""Milliseconds that a fold lets the broker gather records. Each answer costs the consumer half a millisecond of processor, and each
batch a commit."""


class Worker:
    """Runs `roles` over the parts of one deployment until it is stopped or one of them fails."""

    def __init__(self, parts: Parts, roles: Sequence[str], member: str = "") -> None:
        self.roles = checked_roles(roles)
        self._parts, self._member = parts, member
        self._progress = {role: Progress() for role in self.roles}
        self._deciding, self._shards = WorkerDeciding(parts), WorkerShards(parts, self.roles)
        self._archives: dict[tuple[str, int], ArchiveSink] = {}
        self._tracing = Tracing(parts.settings, "memfold-worker")
        self._scrub: Scrub | None = None
        self._closing = AsyncExitStack()
        self.processors: list[Processor] = []

    async def start(self) -> None:
        """Start the processors and the view; Kafka assigns the partitions soon after it returns."""
        self._closing.push_async_callback(self._tracing.close)
        traced = await asyncio.to_thread(self._tracing.traces) is not None
        check_embedder(self._parts.settings.models, self._parts.vectors)
        self._shards.tidy()
        writer = self._parts.writer()
        self._closing.callback(writer.close)
        quarantine = Quarantine(writer)
        for role in self.roles:
            if role == "seal":
                self._begin_sealing(writer)
                continue
            self.processors.append(self._processor(role, writer, quarantine, traced))
        for processor in self.processors:
            self._closing.push_async_callback(processor.stop)
        await asyncio.gather(*(processor.start() for processor in self.processors))
        self._begin_upkeep()
        self._begin_snapshots()
        self._begin_scrubbing()
        await self._serve_view(quarantine)
        if self._parts.settings.metrics.port is not None:
            await self._serve_metrics(quarantine)

    def _processor(self, role: str, writer: LogWriter, quarantine: Quarantine, traced: bool) -> Processor:
        made = partial(
            Processor,
            connection=self._parts.connection,
            state=self._parts.settings.folder / "run",
            member=self._member,
            partitions=self._parts.partitions,
            traced=traced,
        )
        progress, traces = self._progress[role], self._tracing.traces()
        if role == "decide":
            deciding = self._deciding
            room = deciding.room(writer, quarantine, progress, traces, self._closing)
            return made(role, [COMMANDS], lambda _, p: DecideSink(p, deciding.ledger(p), room))
        if role in self._shards.generations:
            sink = partial(self._shards.sink, role, quarantine=quarantine, progress=progress, traces=traces)
            return made(role, [EVENTS], lambda _, p: sink(p), gather_ms=GATHER_MS)
        return made(role, KEPT, self._archive_sink, linger=LINGER, gather_ms=int(LINGER * 1000))

    def _archive_sink(self, topic: str, partition: int) -> Sink:
        root = self._parts.settings.folder / "archive"
        progress, traces = self._progress["archive"], self._tracing.traces()
        sink = ArchiveSink(topic, partition, lambda: ArchiveShard(root, topic, partition), progress, traces)
        self._archives[topic, partition] = sink
        return sink

    def _begin(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Beside the processors, until the worker stops."""
        self._closing.push_async_callback(cancelled, asyncio.create_task(work, name=name))

    def _begin_sealing(self, writer: LogWriter) -> None:
        parts = self._parts
        archive, folder = parts.settings.folder / "archive", parts.settings.folder / "seals"
        role = SealRole(lambda: Sealer(archive, folder, parts.partitions), folder, writer, parts.reader)
        self._begin("seal", role.keep_on())

    def _begin_upkeep(self) -> None:
        audit = self._parts.settings.audit
        if "archive" in self.roles and audit.upkeep:
            self._begin("upkeep", Upkeep(self._archives.values, audit.upkeep, audit.file_mb << 20).keep_on())

    def _begin_snapshots(self) -> None:
        shards = self._shards
        if shards.local is not None:
            every = self._parts.settings.graph_snapshot_minutes * 60
            self._begin("snapshots", keep_snapshots(shards.local, shards.graphs, every))

    def _begin_scrubbing(self) -> None:
        parts, shards, share = self._parts, self._shards, self._parts.settings.scrub_share
        if not shards.generations or not share:
            return
        reading = Scrubbing(
            KafkaSource(parts.reader),
            parts.keys,
            shards.generations,
            lambda: {role: self._progress[role].offsets for role in shards.generations},
            shards.graphs,
            shards.embedding,
            parts.settings.folder / "run",
        )
        self._scrub = Scrub(reading, share)
        self._begin("scrub", self._scrub.keep_on())

    def _scrubbed(self) -> Scrubbed:
        return self._scrub.scrubbed() if self._scrub else Scrubbed()

    async def _serve_view(self, quarantine: Quarantine) -> None:
        shards, deciding = self._shards, self._deciding
        switches = Switches(shards.generations, shards.sinks, shards.open_shard, self._parts.reader)
        self._closing.push_async_callback(switches.close)
        view = View(
            self._progress,
            deciding.outcomes if "decide" in self.roles else None,
            deciding.look_up if "decide" in self.roles else None,
            OxigraphRelations(shards.graphs) if "graph" in self.roles else None,
            shards.standings,
            switches,
            quarantine.counts,
            deciding.breakers,
            shards.copy,
            self._scrubbed,
            self._parts.pending,
            self._parts.partitions,
        )
        settings = self._parts.settings
        application = view_application(view, settings.view_token())
        await serve_view(application, settings.view, settings.folder, self.roles, self._closing)

    async def _serve_metrics(self, quarantine: Quarantine) -> None:
        deciding = self._deciding
        site = MetricsSite(
            self._parts,
            self._progress,
            quarantine.counts,
            deciding.breakers,
            self._scrubbed,
            deciding.metering,
        )
        self._closing.push_async_callback(site.stop)
        await site.start(self._parts.settings.metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set or a processor fails; raises what it failed with."""
        await until_stopped(self.processors, stop)

    async def stop(self) -> None:
        """The view first, then the processors, then the writer: nothing that is acknowledged is left behind."""
        await self._closing.aclose()
