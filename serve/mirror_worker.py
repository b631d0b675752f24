"""The process that keeps one mirror current, and answers searches of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from memfold.memory.errors import InvalidInput
from memfold.memory.ports import Hit
from memfold.projections.base import Standing
from memfold.schemas.partitions import EVENTS
from memfold.serve.graph_mirrors import open_mirror
from memfold.serve.mirrors import Declared, Mirrors
from memfold.serve.parts import Parts
from memfold.serve.replaying import embedding_of
from memfold.serve.tracing import Tracing
from memfold.serve.until_stopped import until_stopped
from memfold.serve.view_nearest import add_nearest
from memfold.serve.view_server import View, view_application
from memfold.serve.view_site import serve_view
from memfold.stores.searching import NearestAsked, nearest
from memfold.streams.processor import Processor
from memfold.streams.progress import Progress
from memfold.streams.projecting import ShardSink
from memfold.streams.quarantine import Quarantine


class MirrorWorker:
    """Follows the log into one mirror until it is stopped or fails; what it has not yet is read from the log first.

    The store is opened with the first partition, after `start`: while a store does not answer, its process is started again and
    again, and the stack runs.
    """

    def __init__(self, parts: Parts, declared: Declared, member: str = "") -> None:
        self.roles: tuple[str, ...] = (declared.role,)
        self._parts, self._member = parts, member
        self._mirror = open_mirror(Mirrors(parts.settings.folder), declared, embedding_of(parts.settings))
        self._progress = Progress()
        self._sinks: dict[int, ShardSink] = {}
        self._processors: list[Processor] = []
        self._tracing = Tracing(parts.settings, "memfold-worker")
        self._closing = AsyncExitStack()

    async def start(self) -> None:
        """Kafka assigns the partitions soon after it returns."""
        role = self.roles[0]
        self._closing.callback(self._mirror.close)
        self._closing.push_async_callback(self._tracing.close)
        traces = await asyncio.to_thread(self._tracing.traces)
        writer = self._parts.writer()
        self._closing.callback(writer.close)
        quarantine = Quarantine(writer)

        def sink_of(_topic: str, partition: int) -> ShardSink:
            self._sinks[partition] = ShardSink(
                role,
                partition,
                self._mirror.shard,
                self._parts.keys,
                quarantine,
                self._progress,
                traces=traces,
            )
            return self._sinks[partition]

        state = self._parts.settings.folder / "run"
        processor = Processor(
            role,
            [EVENTS],
            sink_of,
            self._parts.connection,
            state,
            self._member,
            traced=traces is not None,
            partitions=self._parts.partitions,
        )
        self._processors.append(processor)
        self._closing.push_async_callback(processor.stop)
        await processor.start()
        await self._serve_view(quarantine)

    def _nearest(self, asked: NearestAsked) -> list[Hit]:
        store = self._mirror.store()
        if asked.model != self._mirror.model:
            raise InvalidInput(
                f"the question is embedded by {asked.model}, the mirror by {self._mirror.model}: "
                f"`memfold projection remove {self._mirror.declared.name}` and add it again"
            )
        return nearest(store, self._mirror.turn, asked)

    async def _standings(self) -> dict[str, dict[int, Standing]]:
        found: dict[int, Standing] = {}
        for partition, sink in list(self._sinks.items()):
            standing = await asyncio.to_thread(sink.standing)
            if standing is not None:
                found[partition] = standing
        return {self.roles[0]: found}

    async def _serve_view(self, quarantine: Quarantine) -> None:
        settings = self._parts.settings
        view = View({self.roles[0]: self._progress}, standings=self._standings, quarantined=quarantine.counts)
        application = view_application(view, settings.view_token())
        add_nearest(application, self._nearest)
        await serve_view(application, settings.view, settings.folder, self.roles, self._closing)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set or the mirror fails; raises what it failed with."""
        await until_stopped(self._processors, stop)

    async def stop(self) -> None:
        """The view first, then the processor, then the store."""
        await self._closing.aclose()
