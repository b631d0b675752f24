"""A worker's scrub over a partition of several slices: the log is read once in a pass, or slice by slice where the disk is full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from memfold.projections.difference import Difference
from memfold.projections.generations import FIRST
from memfold.projections.graph import GraphShard
from memfold.replay import scrubbing, sliced_log
from memfold.replay.build import ShardTask, build_partition
from memfold.replay.source import Source
from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import LogRecord
from memfold.serve import scrub
from memfold.serve.scrub import Scrub, Scrubbing
from memfold.serve.scrubbed import Scrubbed
from tests.replay.archived_log import KEK, ArchivedLog
from tests.replay.test_verify import a_row, flip_in

EVENTS, A_SLICE = 120, 30


class Counted:
    """A source that counts the records that it gives, each batch after `takes` seconds."""

    def __init__(self, source: Source, takes: float = 0.0) -> None:
        self._source, self._takes, self.given = source, takes, 0

    def end(self, partition: int) -> int:
        return self._source.end(partition)

    def read(self, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        for records in self._source.read(partition, start, end):
            time.sleep(self._takes)
            self.given += len(records)
            yield records


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArchivedLog:
    """One partition, built and served, of four slices."""
    monkeypatch.setattr(scrub, "EVENTS_A_SLICE", A_SLICE)
    monkeypatch.setattr(sliced_log, "BUFFERED", 5_000)
    made = ArchivedLog(tmp_path / "home", 1, EVENTS)
    made.archive(EVENTS)
    tasks = [ShardTask(name, each.shard_path(FIRST, 0), 0, EVENTS) for name, each in made.generations.items()]
    build_partition(tasks, made.origin(), lambda records, memories: None, digests=False)
    return made


@contextmanager
def scrubbing_of(log: ArchivedLog, source: Source) -> Iterator[tuple[Scrub, GraphShard]]:
    """A scrub that does not rest, and the graph beside it."""
    with (
        closing(KeyStore(log.home / "keys.db", KEK)) as keys,
        closing(GraphShard(log.generations["graph"].shard_path(FIRST, 0), 0)) as graph,
    ):
        positions = {"vector": {0: EVENTS - 1}, "graph": {0: EVENTS - 1}}
        embedding = log.origin().embedding
        reading = Scrubbing(
            source,
            keys,
            log.generations,
            lambda: positions,
            {0: graph},
            lambda _: embedding,
            log.home / "run",
        )
        yield Scrub(reading, 1.0), graph


async def whole_pass(log: ArchivedLog, source: Counted) -> Scrubbed:
    """What a scrub tells when it has been over everything once."""
    with scrubbing_of(log, source) as (scrub_of_it, _):
        await scrub_of_it._round(0)
        return scrub_of_it.scrubbed()


async def test_the_log_is_read_once_in_a_pass(log: ArchivedLog) -> None:
    source = Counted(log.origin().source())
    found = await whole_pass(log, source)
    assert [(one.slices, one.scrubbed, list(one.differences)) for one in found.shards] == [
        (4, 4, []),
        (4, 4, []),
    ]
    assert all(one.whole_at for one in found.shards)
    assert source.given == EVENTS


async def test_where_the_disk_is_full_it_is_read_for_each_slice(
    log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sliced_log, "FREE", 2**60)
    source = Counted(log.origin().source())
    found = await whole_pass(log, source)
    assert [(one.scrubbed, one.whole_at is None) for one in found.shards] == [(4, False), (4, False)]
    assert source.given >= 4 * EVENTS


async def test_a_bit_is_found_by_way_of_the_copy(log: ArchivedLog) -> None:
    path = log.generations["vector"].shard_path(FIRST, 0)
    row_id, offset, vector = a_row(path)
    flip_in(path, vector, 9)
    found = await whole_pass(log, Counted(log.origin().source()))
    (difference,) = [each for one in found.shards for each in one.differences]
    assert (f"{difference.memory_id}:{difference.part.removeprefix('version ')}", difference.offset) == (
        row_id,
        offset,
    )


async def test_a_step_that_waited_for_the_log_makes_no_longer_rest(
    log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a broker is away for ten seconds the rest after it was ten minutes, at a share of two hundredths."""
    monkeypatch.setattr(scrub, "LONGEST", 0.05)
    worked: list[float] = []

    async def rests(self: Scrub, seconds: float) -> None:
        worked.append(seconds)

    monkeypatch.setattr(Scrub, "_rest", rests)
    with scrubbing_of(log, Counted(log.origin().source(), takes=0.1)) as (scrub_of_it, _):
        await scrub_of_it._round(0)
    assert max(worked) == 0.05


async def test_a_graph_is_free_for_its_next_writer_while_the_scrub_waits_to_try_again(
    log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub, "AGAIN", 3_600.0)

    def refused(*_: object) -> list[Difference]:
        raise OSError("the disk does not answer")

    monkeypatch.setattr(scrubbing, "of_subject", refused)
    with scrubbing_of(log, log.origin().source()) as (scrub_of_it, graph):
        going_on = asyncio.create_task(scrub_of_it._round(0))
        try:
            async with asyncio.timeout(30):
                while not scrub_of_it.scrubbed().refused:  # noqa: ASYNC110 - in a task of its own
                    await asyncio.sleep(0.01)
            graph.close()
            GraphShard(log.generations["graph"].shard_path(FIRST, 0), 0).close()
        finally:
            going_on.cancel()


async def test_a_partition_that_is_nobodys_any_more_ends_the_round(log: ArchivedLog) -> None:
    with closing(KeyStore(log.home / "keys.db", KEK)) as keys:
        embedding = log.origin().embedding
        nothing: dict[str, dict[int, int]] = {"vector": {}, "graph": {}}
        reading = Scrubbing(
            Counted(log.origin().source()),
            keys,
            log.generations,
            lambda: nothing,
            {},
            lambda _: embedding,
            log.home,
        )
        async with asyncio.timeout(10):
            await Scrub(reading, 1.0)._round(0)
