"""A worker process: any of the four processors and the sealer, together or alone, and the view that answers for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from memfold.audit.sealing import Sealer
from memfold.audit.subject_past import FullLogPast
from memfold.memory.following import pinned
from memfold.memory.understanding import Models
from memfold.projections.archive import ArchiveShard
from memfold.projections.base import Shard, Standing
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.projections.local_graphs import LocalGraphs, check_not_a_snapshot
from memfold.projections.proposals import Proposals
from memfold.providers.breaker import BreakerState
from memfold.providers.presets import breakers_of, close_models, judges_from
from memfold.replay.build import open_shard
from memfold.replay.reembedding import Embedding
from memfold.replay.source import KafkaSource
from memfold.schemas.partitions import COMMANDS, EVENTS, KEPT
from memfold.schemas.records import LogRecord
from memfold.serve.embedding import ServedEmbedder, check_embedder, models_of, record_first
from memfold.serve.graph_snapshots import keep_snapshots
from memfold.serve.metering import Metering
from memfold.serve.metrics_site import MetricsSite
from memfold.serve.parts import Parts
from memfold.serve.roles import checked_roles
from memfold.serve.scrub import Scrub, Scrubbing
from memfold.serve.scrubbed import Scrubbed
from memfold.serve.switches import Switches
from memfold.serve.tail import KafkaTail
from memfold.serve.tracing import Tracing
from memfold.serve.view_server import View, view_application
from memfold.serve.view_site import serve_view
from memfold.streams.allowance import Allowance
from memfold.streams.archiving import LINGER, ArchiveSink
from memfold.streams.decider import DecideRoom, DecideSink
from memfold.streams.follower import Sink
from memfold.streams.ledger import Ledger
from memfold.streams.outcomes import Outcome, Outcomes
from memfold.streams.processor import Processor
from memfold.streams.progress import Progress
from memfold.streams.projecting import ShardSink
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
        generations = {"vector": parts.vectors, "graph": parts.graphs}
        self._generations = {role: generations[role] for role in self.roles if role in generations}
        self._sinks: dict[str, dict[int, ShardSink]] = {role: {} for role in self._generations}
        self._archives: dict[tuple[str, int], ArchiveSink] = {}
        self._graphs: dict[int, GraphShard] = {}
        self._local = self._local_graphs()
        self._ledgers: dict[int, Ledger] = {}
        self._outcomes = Outcomes()
        self._metering = Metering()
        self._tracing = Tracing(parts.settings, "memfold-worker")
        self._models: Models | None = None
        self._scrub: Scrub | None = None
        self._closing = AsyncExitStack()
        self.processors: list[Processor] = []

    async def start(self) -> None:
        """Start the processors and the view; Kafka assigns the partitions soon after it returns."""
        self._closing.push_async_callback(self._tracing.close)
        traced = await asyncio.to_thread(self._tracing.traces) is not None
        check_embedder(self._parts.settings.models, self._parts.vectors)
        for generations in self._generations.values():
            generations.remove_previous(self._parts.settings.previous_generation_hours * 3600)
        if self._local is not None:
            self._local.tidy()
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

    def _local_graphs(self) -> LocalGraphs | None:
        folder = self._parts.settings.local_graphs
        if folder is None or "graph" not in self.roles:
            return None
        return LocalGraphs(folder.expanduser().absolute(), self._parts.graphs)

    def _begin_snapshots(self) -> None:
        if self._local is not None:
            every = self._parts.settings.graph_snapshot_minutes * 60
            task = asyncio.create_task(keep_snapshots(self._local, self._graphs, every), name="snapshots")
            self._closing.push_async_callback(_cancelled, task)

    async def _serve_metrics(self, quarantine: Quarantine) -> None:
        site = MetricsSite(
            self._parts, self._progress, quarantine.counts, self._breakers, self._scrubbed, self._metering
        )
        self._closing.push_async_callback(site.stop)
        await site.start(self._parts.settings.metrics)

    def _begin_sealing(self, writer: LogWriter) -> None:
        parts = self._parts
        archive, folder = parts.settings.folder / "archive", parts.settings.folder / "seals"
        role = SealRole(lambda: Sealer(archive, folder, parts.partitions), folder, writer, parts.reader)
        sealing = asyncio.create_task(role.keep_on(), name="seal")
        self._closing.push_async_callback(_cancelled, sealing)

    def _begin_upkeep(self) -> None:
        audit = self._parts.settings.audit
        if "archive" in self.roles and audit.upkeep:
            upkeep = Upkeep(self._archives.values, audit.upkeep, audit.file_mb << 20)
            task = asyncio.create_task(upkeep.keep_on(), name="upkeep")
            self._closing.push_async_callback(_cancelled, task)

    def _begin_scrubbing(self) -> None:
        parts, share = self._parts, self._parts.settings.scrub_share
        if not self._generations or not share:
            return
        reading = Scrubbing(
            KafkaSource(parts.reader),
            parts.keys,
            self._generations,
            lambda: {role: self._progress[role].offsets for role in self._generations},
            self._graphs,
            self._embedding,
            parts.settings.folder / "run",
        )
        self._scrub = Scrub(reading, share)
        scrubbing = asyncio.create_task(self._scrub.keep_on(), name="scrub")
        self._closing.push_async_callback(_cancelled, scrubbing)

    def _embedding(self, generation: str) -> Embedding:
        settings = self._parts.settings
        return Embedding(models_of(settings.models, self._parts.vectors, generation), settings.embeddings)

    def _processor(self, role: str, writer: LogWriter, quarantine: Quarantine, traced: bool) -> Processor:
        made = partial(
            Processor,
            connection=self._parts.connection,
            state=self._parts.settings.folder / "run",
            member=self._member,
            partitions=self._parts.partitions,
            traced=traced,
        )
        if role == "decide":
            room = self._room(writer, quarantine)
            return made(role, [COMMANDS], lambda _, p: DecideSink(p, self._ledger(p), room))
        if role in self._generations:
            return made(
                role, [EVENTS], lambda _, p: self._shard_sink(role, p, quarantine), gather_ms=GATHER_MS
            )
        return made(role, KEPT, self._archive_sink, linger=LINGER, gather_ms=int(LINGER * 1000))

    def _room(self, writer: LogWriter, quarantine: Quarantine) -> DecideRoom:
        parts = self._parts
        extractor, decider = judges_from(parts.settings.models)
        embedder = ServedEmbedder(parts.settings.models, parts.vectors)
        models = self._models = Models(embedder, extractor, decider)
        self._closing.push_async_callback(close_models, extractor, decider)
        self._closing.push_async_callback(embedder.close)
        return DecideRoom(
            models,
            parts.index,
            parts.index,
            parts.keys,
            parts.reader,
            writer,
            quarantine,
            self._progress["decide"],
            self._outcomes,
            self._metering.decided,
            FullLogPast(
                parts.settings.folder / "archive", parts.partitions, KafkaTail(parts.reader), parts.keys
            ),
            Allowance(rate, parts.settings.subject_burst) if (rate := parts.settings.subject_rate) else None,
            self._tracing.traces(),
        )

    def _scrubbed(self) -> Scrubbed:
        return self._scrub.scrubbed() if self._scrub else Scrubbed()

    def _breakers(self) -> list[BreakerState]:
        models = self._models
        return breakers_of(models.extractor, models.decider, pinned(models.embedder)) if models else []

    def _ledger(self, partition: int) -> Ledger:
        self._ledgers[partition] = Ledger(self._parts.settings.folder / "ledger" / f"p{partition:04d}.db")
        return self._ledgers[partition]

    def _shard_sink(self, role: str, partition: int, quarantine: Quarantine) -> ShardSink:
        def open_served(partition: int) -> Shard:
            return self._open_shard(role, Proposals(self._generations[role]).settled(), partition)

        keys, progress, traces = self._parts.keys, self._progress[role], self._tracing.traces()
        sink = ShardSink(role, partition, open_served, keys, quarantine, progress, self._followed, traces)
        self._sinks[role][partition] = sink
        return sink

    def _followed(self, partition: int, shard: Shard) -> None:
        """Not sooner: a shard that is being prepared lacks what it has not read yet, and may never be served."""
        if isinstance(shard, GraphShard):
            self._graphs[partition] = shard

    def _open_shard(self, role: str, generation: str, partition: int) -> Shard:
        settings, vectors = self._parts.settings, role == "vector"
        if self._local is not None and not vectors:
            path = self._local.fetched(generation, partition)
        else:
            path = self._generations[role].shard_path(generation, partition)
            check_not_a_snapshot(path)
        embedding = (
            self._embedding(generation) if vectors else Embedding(settings.models, settings.embeddings)
        )
        shard = open_shard(role, path, partition, embedding, settings.index_above)
        if not isinstance(shard, GraphShard):
            # Only now: a shard of other dimensions would have been refused.
            record_first(embedding.models, self._parts.vectors, generation)
        return shard

    async def _standings(self) -> dict[str, dict[int, Standing]]:
        found: dict[str, dict[int, Standing]] = {role: {} for role in self._sinks}
        for role, sinks in self._sinks.items():
            for partition, sink in list(sinks.items()):
                standing = await asyncio.to_thread(sink.standing)
                if standing is not None:
                    found[role][partition] = standing
        return found

    async def _copy(self, projection: str, partition: int, generation: str) -> bool:
        """Only graphs: a shard of vectors is copied by whoever wants to."""
        shard = self._graphs.get(partition)
        if projection != "graph" or shard is None or shard.closed:
            return False
        to = self._generations["graph"].copy_path(generation, partition)
        await asyncio.to_thread(shard.copy, to)
        return True

    def _archive_sink(self, topic: str, partition: int) -> Sink:
        root = self._parts.settings.folder / "archive"
        progress, traces = self._progress["archive"], self._tracing.traces()
        sink = ArchiveSink(topic, partition, lambda: ArchiveShard(root, topic, partition), progress, traces)
        self._archives[topic, partition] = sink
        return sink

    async def _look_up(self, partition: int, command_id: str) -> Outcome | None:
        """The outcome of a command that was decided long ago: its place from the ledger, its bytes from the log."""
        offset = self._ledgers[partition].offset_of(command_id)
        if offset is None:
            return None
        records = await asyncio.to_thread(self._read_one, partition, offset)
        return offset, records[0].value

    def _read_one(self, partition: int, offset: int) -> list[LogRecord]:
        return next(self._parts.reader.read(EVENTS, partition, offset, offset + 1))

    async def _serve_view(self, quarantine: Quarantine) -> None:
        graph = OxigraphRelations(self._graphs) if "graph" in self.roles else None
        switches = Switches(self._generations, self._sinks, self._open_shard, self._parts.reader)
        self._closing.push_async_callback(switches.close)
        view = View(
            self._progress,
            self._outcomes if "decide" in self.roles else None,
            self._look_up if "decide" in self.roles else None,
            graph,
            self._standings,
            switches,
            quarantine.counts,
            self._breakers,
            self._copy,
            self._scrubbed,
            self._parts.pending,
            self._parts.partitions,
        )
        settings = self._parts.settings
        application = view_application(view, settings.view_token())
        await serve_view(application, settings.view, settings.folder, self.roles, self._closing)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set or a processor fails; raises what it failed with."""
        await until_stopped(self.processors, stop)

    async def stop(self) -> None:
        """The view first, then the processors, then the writer: nothing that is acknowledged is left behind."""
        await self._closing.aclose()


async def until_stopped(processors: Sequence[Processor], stop: asyncio.Event) -> None:
    """Until `stop` is set or one of them fails; raises what it failed with."""
    stopping = asyncio.ensure_future(_set(stop))
    failures = [processor.failed for processor in processors]
    done, _ = await asyncio.wait([stopping, *failures], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for future in done:
        future.result()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _set(event: asyncio.Event) -> None:
    await event.wait()
