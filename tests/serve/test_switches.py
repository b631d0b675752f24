"""Two workers that go over to another generation, of which one waits no longer: both go, or neither does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Shard
from memfold.projections.generations import Generations
from memfold.projections.proposals import Proposals
from memfold.replay.build import open_shard
from memfold.replay.rebuild import rebuild
from memfold.schemas.keystore import KeyStore
from memfold.serve import switches
from memfold.serve.embedded import running_stack
from memfold.serve.settings import Settings
from memfold.serve.switches import Switches
from memfold.streams.progress import Progress
from memfold.streams.projecting import ShardSink
from memfold.streams.quarantine import Quarantine
from memfold.streams.writer import LogWriter
from tests.replay.archived_log import KEK, ArchivedLog
from tests.serve.checks import reader_of

EVENTS, OLD, NEW = 40, "g0002", "g0003"


class One:
    """A worker with one partition of the vectors."""

    def __init__(
        self, log: ArchivedLog, partition: int, settings: Settings, closing_: AsyncExitStack
    ) -> None:
        self.generations, self._log, self._partition = log.generations["vector"], log, partition
        self.follows: dict[int, str] = {}
        servers = running_stack(settings)
        assert servers is not None
        keys, writer = KeyStore(log.home / "keys.db", KEK), LogWriter(settings.connection(servers))
        self.sink = ShardSink("vector", partition, self._served, keys, Quarantine(writer), Progress())
        reader = reader_of(settings)
        self.switches = Switches(
            {"vector": self.generations}, {"vector": {partition: self.sink}}, self._open, reader
        )
        for each in (keys, writer, reader):
            closing_.callback(each.close)
        closing_.push_async_callback(self.sink.close)
        closing_.push_async_callback(self.switches.close)

    def _served(self, partition: int) -> Shard:
        return self._open("vector", self.generations.served(), partition)

    def _open(self, projection: str, generation: str, partition: int) -> Shard:
        path = self.generations.shard_path(generation, partition)
        shard = open_shard(projection, path, partition, self._log.origin().embedding)
        self.follows[id(shard)] = generation
        return shard

    async def prepared(self, proposal: str) -> None:
        assert await self.switches.prepare("vector", NEW, proposal) == [self._partition]

    async def goes_on(self) -> str:
        """The generation that it follows, once it stands still no longer."""
        async with self.sink.turn:
            return self.follows[id(self.sink._shard)]


@pytest.fixture
async def two(stack: Settings, tmp_path: Path) -> AsyncIterator[list[One]]:
    log = ArchivedLog(tmp_path / "home", 2, EVENTS)
    log.archive(EVENTS)
    vectors = {"vector": log.generations["vector"]}
    for _ in range(2):
        await asyncio.to_thread(rebuild, vectors, 2, log.origin(), lambda name, new: vectors[name].serve(new))
    vectors["vector"].serve(OLD)
    async with AsyncExitStack() as closing_:
        workers = [One(log, partition, stack, closing_) for partition in range(2)]
        for each in workers:
            assert await each.sink.open(lambda failure: None) == EVENTS
        yield workers


async def test_all_go_over_by_one_proposal(two: list[One]) -> None:
    proposal = Proposals(two[0].generations).make(NEW)
    for each in two:
        await each.prepared(proposal)
    for each in two:
        assert await each.switches.go_over("vector", proposal)
    assert [await each.goes_on() for each in two] == [NEW, NEW]
    assert two[0].generations.previous() == OLD


async def test_where_one_waits_no_longer_none_goes_over(
    two: list[One], monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = Proposals(two[0].generations).make(NEW)
    with monkeypatch.context() as patched:
        patched.setattr(switches, "HELD", 0.0)
        await two[1].prepared(proposal)
        assert await two[1].goes_on() == OLD
    await two[0].prepared(proposal)
    with pytest.raises(InvalidInput, match="withdrawn"):
        await two[0].switches.go_over("vector", proposal)
    assert two[0].generations.served() == OLD
    assert [await each.goes_on() for each in two] == [OLD, OLD]


async def test_who_is_told_to_wait_no_longer_after_the_pointer_moved_follows_it(two: list[One]) -> None:
    """Whoever let the first go over died, and the next one begins with another proposal."""
    proposal = Proposals(two[0].generations).make(NEW)
    for each in two:
        await each.prepared(proposal)
    assert await two[0].switches.go_over("vector", proposal)
    await two[1].switches.drop("vector")
    assert [await each.goes_on() for each in two] == [NEW, NEW]


async def test_who_opens_what_is_served_keeps_the_others_there(two: list[One]) -> None:
    proposal = Proposals(two[0].generations).make(NEW)
    await two[0].prepared(proposal)
    await two[1].sink.close()
    assert Proposals(two[1].generations).settled() == OLD
    with pytest.raises(InvalidInput):
        await two[0].switches.go_over("vector", proposal)
    assert await two[0].goes_on() == OLD


async def test_a_partition_that_left_meanwhile_is_not_held(two: list[One]) -> None:
    proposal = Proposals(two[0].generations).make(NEW)
    await two[0].prepared(proposal)
    await two[0].sink.close()
    assert await two[0].switches.go_over("vector", proposal)
    path = Generations.shard_path(two[0].generations, NEW, 0)
    with closing(open_shard("vector", path, 0, two[0]._log.origin().embedding)) as shard:
        assert shard.position().offset == EVENTS - 1, "its next owner can open it"
