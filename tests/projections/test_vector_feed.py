"""A reader that follows the feed holds the same rows as one that reads them all, whatever comes in between."""

from __future__ import annotations

from random import Random

import pytest

from memfold.memory.corpora import Corpora
from memfold.memory.ports import MemoryRow, Seen, Within
from memfold.projections.base import Position, fenced
from memfold.projections.vector_feed import LanceMemoryFeed
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.schemas.records import Event
from tests.projections.vector_store import ALEX, ANYONE, KIM, OTHER_TENANT, PARTITIONS, Store
from tests.projections.vector_store import events as events
from tests.projections.vector_store import index as index
from tests.projections.vector_store import store as store
from tests.strategies import history

EVERYONE = Within()
PLANNERS = Within(agents=("planner", "a'b"))
BOTH = Within(subjects=(ALEX.subject, KIM.subject))


@pytest.fixture
async def feed(index: LanceMemoryIndex) -> LanceMemoryFeed:
    return LanceMemoryFeed(index.tables, PARTITIONS)


class Follower:
    """Takes changes in, one scope."""

    def __init__(self, feed: LanceMemoryFeed, tenant: str, within: Within) -> None:
        self._feed, self._tenant, self._within = feed, tenant, within
        self._seen: Seen | None = None
        self.rows: dict[str, MemoryRow] = {}

    async def follow(self) -> int:
        """How many rows came."""
        changes = await self._feed.changes(self._tenant, self._within, self._seen, 10_000)
        assert changes is not None
        if changes.whole:
            self.rows = {}
        self.rows |= {row.memory_id: row for row in changes.rows}
        for memory_id in changes.gone:
            self.rows.pop(memory_id, None)
        self._seen = changes.seen
        return len(changes.rows)


def same(rows: dict[str, MemoryRow], wanted: list[MemoryRow]) -> bool:
    return rows == {row.memory_id: row for row in wanted}


@pytest.mark.parametrize("seed", range(3))
async def test_following_is_reading_everything(
    store: Store, index: LanceMemoryIndex, feed: LanceMemoryFeed, seed: int
) -> None:
    # Whole histories, with updates, deletes and clears of scopes and tenants.
    told = fenced(history(Random(seed), 160), Position())[0]
    mine = Follower(feed, ALEX.tenant, Within(subjects=(ALEX.subject,)))
    everyone, planners = Follower(feed, ALEX.tenant, EVERYONE), Follower(feed, ALEX.tenant, PLANNERS)
    both = Follower(feed, ALEX.tenant, BOTH)
    for start in range(0, len(told), 23):
        store.feed(told[start : start + 23])
        for follower in (mine, everyone, planners, both):
            await follower.follow()
        everything = await index.current(ALEX.tenant, None, ANYONE, None)
        assert same(mine.rows, [row for row in everything if row.subject == ALEX.subject])
        assert same(both.rows, everything)
        assert same(everyone.rows, everything)
        assert same(planners.rows, [row for row in everything if row.scope.agent_id in ("planner", "a'b")])


async def test_nothing_new_is_nothing_read(store: Store, feed: LanceMemoryFeed, events: list[Event]) -> None:
    store.feed(events)
    follower = Follower(feed, ALEX.tenant, EVERYONE)
    assert await follower.follow() == len(follower.rows) > 30
    assert await follower.follow() == 0
    for shard in store.shards:
        shard.close()
    assert await follower.follow() == 0


async def test_another_generation_is_read_from_nothing(
    store: Store, index: LanceMemoryIndex, feed: LanceMemoryFeed, events: list[Event]
) -> None:
    store.feed(events)
    follower = Follower(feed, ALEX.tenant, EVERYONE)
    await follower.follow()
    before = dict(follower.rows)
    store.close()
    store.open("g0002")
    store.feed(events[: len(events) // 2])
    store.generations.serve("g0002")
    await follower.follow()
    assert same(follower.rows, await index.current(ALEX.tenant, None, ANYONE, None))
    assert len(follower.rows) < len(before)


async def test_too_many_rows_are_not_held(store: Store, feed: LanceMemoryFeed, events: list[Event]) -> None:
    store.feed(events)
    assert await feed.changes(ALEX.tenant, EVERYONE, None, 5) is None
    corpora = Corpora(ALEX.tenant, feed, most=5)
    assert await corpora.of(EVERYONE) is None
    # Also a scope that has grown.
    small = Corpora(ALEX.tenant, feed, most=1000)
    corpus = await small.of(EVERYONE)
    assert corpus is not None
    assert len(corpus) > 30


async def test_a_corpus_is_the_same_one_until_something_changes(
    store: Store, index: LanceMemoryIndex, feed: LanceMemoryFeed, events: list[Event]
) -> None:
    half = len(events) // 2
    store.feed(events[:half])
    corpora = Corpora(ALEX.tenant, feed)
    within = Within(subjects=(ALEX.subject,))
    one = await corpora.of(within)
    assert one is not None
    assert await corpora.of(within) is one
    store.feed(events[half:])
    other = await corpora.of(within)
    assert other is not None
    assert other is not one
    now = await index.current(ALEX.tenant, ALEX.subject, ANYONE, None)
    assert same({row.memory_id: row for row in other.rows}, now)
    assert {row.memory_id for row in one.rows} - {row.memory_id for row in now}
    kept = {told.row.memory_id: told for told in one.told}
    again = [told for told in other.told if told.row is kept.get(told.row.memory_id, told).row]
    assert any(told is kept.get(told.row.memory_id) for told in again)


async def test_what_was_not_searched_for_longest_is_forgotten_first(
    store: Store, feed: LanceMemoryFeed, events: list[Event]
) -> None:
    store.feed(events)
    corpora = Corpora(ALEX.tenant, feed, kept=40)
    alex = await corpora.of(Within(subjects=(ALEX.subject,)))
    kim = await corpora.of(Within(subjects=(KIM.subject,)))
    assert await corpora.of(Within(subjects=(KIM.subject,))) is kim
    assert await corpora.of(Within(subjects=(ALEX.subject,))) is not alex


async def test_no_row_of_another_tenant_comes(
    store: Store, feed: LanceMemoryFeed, events: list[Event]
) -> None:
    store.feed(events)
    for within in (
        EVERYONE,
        Within(subjects=(OTHER_TENANT.subject,)),
        Within(agents=("' OR 1=1 --", "planner")),
    ):
        changes = await feed.changes(ALEX.tenant, within, None, 1000)
        assert changes is not None
        assert {row.tenant for row in changes.rows} <= {ALEX.tenant}
