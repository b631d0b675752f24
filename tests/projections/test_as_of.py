"""What was known at a moment, from the shards as they are now: against a plain fold of the events up to then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memfold.memory.ports import MemoryRow, Relation
from memfold.projections.base import Position, fenced
from memfold.projections.generations import Generations
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.schemas.records import Clear, Event, Operation, RelationChange, Scope
from tests.projections.graph_events import ALEX as ALEXS
from tests.projections.graph_events import START, asserts, event, retracts
from tests.projections.shard_contract import feed
from tests.projections.vector_store import ALEX, ANYONE, OTHER_TENANT, QUERY
from tests.strategies import DIMENSIONS, EPOCH, OWNERS, batches, histories, history, randoms

SCOPES = [ANYONE, Scope(agent_id="planner"), Scope(run_id="run-1", actor_id="bot")]
SUBJECTS = [*((owner.tenant, owner.subject) for owner in OWNERS), (ALEX.tenant, None)]
on_shards = settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])


class Truth:
    """A plain fold: what there is after some events, with no thought of how it is stored."""

    def __init__(self, events: list[Event]) -> None:
        self.memories: dict[str, tuple[tuple[str, str], Operation]] = {}
        self.relations: dict[str, tuple[tuple[str, str], Scope, RelationChange]] = {}
        self._ever: dict[str, tuple[str, str]] = {}
        for one in events:
            self._take(one)

    def _take(self, taken: Event) -> None:
        owner = taken.envelope.tenant, taken.envelope.subject
        for clear in taken.body.clears:
            self.memories = {
                name: kept
                for name, kept in self.memories.items()
                if not _clears(clear, owner, kept[0], kept[1].scope)
            }
            self.relations = {
                name: kept
                for name, kept in self.relations.items()
                if not _clears(clear, owner, kept[0], kept[1])
            }
        for done in taken.body.operations:
            held = self.memories.get(done.memory_id)
            if done.op == "ADD" and done.memory_id not in self._ever:
                self.memories[done.memory_id] = owner, done
                self._ever[done.memory_id] = owner
            elif done.op == "RESTORE" and held is None and self._ever.get(done.memory_id) == owner:
                self.memories[done.memory_id] = owner, done
            elif held is not None and held[0] == owner and done.op in ("UPDATE", "DELETE"):
                del self.memories[done.memory_id]
                if done.op == "UPDATE":
                    self.memories[done.memory_id] = owner, done
        scopes = {done.memory_id: done.scope for done in taken.body.operations}
        for change in taken.body.relations:
            if change.op == "RETRACT":
                kept = self.relations.get(change.assertion_id)
                if kept and kept[0] == owner:
                    del self.relations[change.assertion_id]
            else:
                self.relations[change.assertion_id] = owner, scopes[change.memory_id], change

    def texts(self, tenant: str, subject: str | None, scope: Scope) -> dict[str, str]:
        return {
            name: done.text
            for name, (owner, done) in self.memories.items()
            if owner[0] == tenant and subject in (None, owner[1]) and scope.covers(done.scope)
        }

    def assertions(self, tenant: str, subject: str | None, scope: Scope) -> dict[str, str]:
        return {
            name: change.target
            for name, (owner, inside, change) in self.relations.items()
            if owner[0] == tenant and subject in (None, owner[1]) and scope.covers(inside)
        }


def _clears(clear: Clear, by: tuple[str, str], owner: tuple[str, str], scope: Scope) -> bool:
    return (by[0] == owner[0]) if clear.whole_tenant else (by == owner and clear.scope.covers(scope))


def moments(events: list[Event], random: Random) -> list[datetime]:
    """Before all, after all, and at, just before and just after some events."""
    ends = [EPOCH - timedelta(days=1), EPOCH + timedelta(days=1)]
    some = random.sample(events, min(3, len(events)))
    step = timedelta(microseconds=1)
    return [*ends, *(one.recorded_at + by for one in some for by in (-step, 0 * step, step))]


def truth_at(events: list[Event], moment: datetime) -> Truth:
    counted, _ = fenced(events, Position())
    return Truth([event for event in counted if event.recorded_at <= moment])


def by_id(rows: list[MemoryRow]) -> dict[str, str]:
    assert len({row.memory_id for row in rows}) == len(rows), "one version of a memory at a time"
    return {row.memory_id: row.text for row in rows}


@contextmanager
def vectors(folder: Path) -> Iterator[tuple[VectorShard, LanceMemoryIndex]]:
    """The only partition of a projection, and a reader beside it."""
    generations = Generations(folder, "vector")
    with closing(VectorShard(generations.shard_path("g0001", 0), 0, DIMENSIONS)) as shard:
        yield shard, LanceMemoryIndex(generations, 1)


@on_shards
@given(histories(max_events=24), randoms())
async def test_memories_as_of_a_moment_are_the_fold_up_to_it(events: list[Event], random: Random) -> None:
    with TemporaryDirectory() as folder, vectors(Path(folder)) as (shard, index):
        for batch in batches(events, random):
            feed(shard, batch)
        asked = sorted({done.memory_id for event in events for done in event.body.operations})
        for moment in moments(events, random):
            truth, then = truth_at(events, moment), index.at(moment)
            (tenant, subject), scope = random.choice(SUBJECTS), random.choice(SCOPES)
            wanted = truth.texts(tenant, subject, scope)
            assert by_id(await then.current(tenant, subject, scope, None)) == wanted
            hits = await then.search(tenant, subject, scope, QUERY, 1000)
            assert by_id([hit.row for hit in hits]) == wanted
            assert by_id(await then.find(tenant, asked)) == truth.texts(tenant, None, ANYONE)
        await index.close()


@on_shards
@given(histories(max_events=24), randoms(), st.booleans())
async def test_relations_as_of_a_moment_are_the_fold_up_to_it(
    events: list[Event], random: Random, kept: bool
) -> None:
    """`kept`: the assertions were asked for before, so the answers come from what followed the commits in memory."""
    with TemporaryDirectory() as folder, closing(GraphShard(Path(folder) / "p0000", 0)) as shard:
        index = OxigraphRelations({0: shard})
        for batch in batches(events, random):
            feed(shard, batch)
            if kept:
                for tenant, subject in SUBJECTS[:3]:
                    await index.relations(tenant, subject, ANYONE, as_of=EPOCH)
        for moment in moments(events, random):
            truth = truth_at(events, moment)
            for tenant, subject in SUBJECTS:
                scope = random.choice(SCOPES)
                found = await index.relations(tenant, subject, scope, as_of=moment)
                assert len({one.assertion_id for one in found}) == len(found)
                wanted = truth.assertions(tenant, subject, scope)
                assert {one.assertion_id: one.target for one in found} == wanted


async def test_now_and_a_moment_after_everything_are_the_same(tmp_path: Path) -> None:
    events = [event for event in history(Random(3), 80) if not event.body.clears]
    later = events[-1].recorded_at + timedelta(seconds=1)
    with vectors(tmp_path) as (memories, index), closing(GraphShard(tmp_path / "g", 0)) as shard:
        feed(memories, events)
        feed(shard, events)
        relations = OxigraphRelations({0: shard})
        rows = await index.current(ALEX.tenant, None, ANYONE, None)
        assert rows
        assert await index.at(later).current(ALEX.tenant, None, ANYONE, None) == rows
        hits = await index.search(ALEX.tenant, None, ANYONE, QUERY, 5)
        assert await index.at(later).search(ALEX.tenant, None, ANYONE, QUERY, 5) == hits
        held = await relations.relations(ALEX.tenant, ALEX.subject, ANYONE)
        assert held
        assert await relations.relations(ALEX.tenant, ALEX.subject, ANYONE, as_of=later) == held
        assert await relations.relations(OTHER_TENANT.tenant, ALEX.subject, ANYONE, as_of=later) == []
        await index.close()


@pytest.fixture
def shard(tmp_path: Path) -> GraphShard:
    return GraphShard(tmp_path / "p0000", 0)


async def test_what_was_not_known_yet_is_not_told(shard: GraphShard) -> None:
    """That it would be over, and since when, was learnt only with its end."""
    over = replace(retracts("a1"), valid_to=START - timedelta(days=1))
    with closing(shard):
        feed(shard, [event(0, asserts("a1", "Sarah", "WORKS_AT", "Google"))])
        feed(shard, [event(1, over)])
        (relation,) = await OxigraphRelations({0: shard}).relations("acme", ALEXS, Scope(), as_of=START)
        assert relation == Relation(
            "Sarah", "THING", "WORKS_AT", "Google", "THING", "of-a1", "a1", 1.0, START, "sarah", "google"
        )
