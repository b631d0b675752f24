"""A stream processor: one Faust app, its own consumer group, one follower per partition that it was given."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from faust.types import TP

from memfold.infra.groups import GROUP_PREFIX
from memfold.memory.errors import TopicMisconfigured
from memfold.streams.connection import Connection
from memfold.streams.counts import check_assigned
from memfold.streams.faust_connection import faust_brokers, faust_credentials
from memfold.streams.follower import Follower, Live, Sink
from memfold.streams.positioned import PositionedApp, Records
from memfold.streams.reader import LogReader

logger = logging.getLogger(__name__)

SinkOf = Callable[[str, int], Sink]


class Processor:
    """Follows `topics` as the consumer group `memfold-<role>`; `failed` resolves when a follower ends with an error.

    There is no restart inside: after a failed flush an agent that is restarted in its process consumes nothing for seconds, so
    the process ends and its supervisor starts it again.
    """

    def __init__(
        self,
        role: str,
        topics: Sequence[str],
        sink_of: SinkOf,
        connection: Connection,
        state: Path,
        member: str = "",
        linger: float = 0.0,
        gather_ms: int = 0,
        traced: bool = False,
        partitions: int | None = None,
    ) -> None:
        """`gather_ms`: see PositionedApp. `partitions`: how many the log was made with; one beyond is refused, and with it everything.
        `traced`: what is read from the log, before records come live, has the trace that it belongs to as well.
        """
        self.role = role
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sink_of, self._linger, self._partitions = sink_of, linger, partitions
        self._reader = LogReader(connection, traced)
        self._followers: dict[TP, Follower] = {}
        self._watching: asyncio.Task[None] | None = None
        # A partition that comes back must not be opened while its last shard is still being closed: one writer each.
        self._changing = asyncio.Lock()
        self._app = self._build(topics, connection, state, member, gather_ms)

    def _build(
        self, topics: Sequence[str], connection: Connection, state: Path, member: str, gather_ms: int
    ) -> PositionedApp:
        options: dict[str, Any] = {}
        if member:
            # A static member that comes back within its session keeps its partitions: no rebalance after a crash.
            options["consumer_group_instance_id"] = f"{member}-{self.role}"
        app = PositionedApp.following(
            self._starts_of,
            connection.client_rack,
            gather_ms,
            id=GROUP_PREFIX + self.role,
            broker=faust_brokers(connection),
            broker_credentials=faust_credentials(connection),
            broker_session_timeout=6.0,
            broker_heartbeat_interval=2.0,
            broker_commit_interval=2.0,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=4 * 1024 * 1024,
            # Messages, each of many records.
            stream_buffer_maxsize=8,
            # What is not acknowledged is read again from the position: nothing to wait for.
            stream_wait_empty=False,
            value_serializer=Records(),
            store="memory://",
            datadir=str(state / f"faust-{self.role}"),
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
            autodiscover=False,
            **options,
        )
        # Faust makes its own folder, and not the one that it is in.
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        app.on_partitions_revoked.connect(self._revoked)
        for topic in topics:
            app.agent(app.topic(topic), name=f"{self.role}-{topic}")(self._follow)
        return app

    async def start(self) -> None:
        self._app.finalize()
        await self._app.start()
        self._watching = asyncio.create_task(self._watch(), name=f"{self.role} watched")

    async def _watch(self) -> None:
        """Faust that has crashed delivers nothing more, and says so in its log only."""
        await self._app.wait()
        if self._app.crashed:
            self._fail(self._app.crash_reason or RuntimeError("Faust has crashed; its log says why"))

    async def stop(self) -> None:
        try:
            async with self._changing:
                await self._close(set(self._followers))
        finally:
            await self._app.stop()
            if self._watching is not None:
                await self._watching

    async def _follow(self, stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            follower = self._followers.get(TP(message.topic, message.partition))
            if follower is None:
                # Revoked while the records were on their way: the next owner reads them.
                continue
            await follower.offer(Live(message.value, event.ack))

    async def _starts_of(self, assigned: set[TP]) -> dict[TP, int]:
        async with self._changing:
            self._check(assigned)
            await self._close(set(self._followers) - assigned)
            return {tp: await self._begin(tp) for tp in sorted(assigned - set(self._followers))}

    def _check(self, assigned: set[TP]) -> None:
        """Before any of them is begun."""
        for tp in sorted(assigned):
            try:
                check_assigned(tp.topic, tp.partition, self._partitions)
            except TopicMisconfigured as failure:
                self._fail(failure)
                raise

    async def _begin(self, tp: TP) -> int:
        sink = self._sink_of(tp.topic, tp.partition)
        end_of = partial(self._app.end_of, tp)
        follower = Follower(tp.topic, tp.partition, sink, self._reader, self._linger, end_of)
        try:
            start = await follower.start(self._fail)
        except asyncio.CancelledError:
            # Partitions change hands again before these are begun: nothing failed, and they are given out anew in a moment.
            await follower.close()
            raise
        except BaseException as failure:
            # Faust would log this and go on without the partition.
            self._fail(failure)
            raise
        self._followers[tp] = follower
        return start

    async def _revoked(self, *arguments: Any, **_: Any) -> None:
        revoked: set[TP] = arguments[1]
        async with self._changing:
            await self._close(set(revoked))

    async def _close(self, partitions: set[TP]) -> None:
        closed = [self._followers.pop(tp).close() for tp in partitions & set(self._followers)]
        for failure in await asyncio.gather(*closed, return_exceptions=True):
            if failure is not None:
                raise failure

    def _fail(self, failure: BaseException) -> None:
        logger.error("%s stops: %s", self.role, failure)
        if not self.failed.done():
            self.failed.set_exception(failure)
