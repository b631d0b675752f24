from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from memfold.memory.ports import Walk
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.schemas.records import Clear, Scope
from tests.projections.graph_events import ALEX, KIM, START, asserts, event, feed, retracts

DAY = timedelta(days=1)


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[GraphShard]:
    with closing(GraphShard(tmp_path / "p0000", 0)) as shard:
        yield shard


async def walked(
    shard: GraphShard,
    walk: Walk,
    subject: str | None = ALEX,
    scope: Scope | None = None,
    tenant: str = "acme",
) -> list[tuple[int, str, str]]:
    found = await OxigraphRelations({0: shard}).around(tenant, subject, scope or Scope(), walk)
    return [(near.distance, near.relation.source, near.relation.target) for near in found.relations]


async def test_a_walk_stays_inside_the_scope(shard: GraphShard) -> None:
    """Sarah is known to both: what Kim knows of her, or another agent heard, is no way on."""
    planner = Scope("alex", "planner")
    feed(shard, event(0, asserts("a1", "alex", "MET", "Sarah"), scope=planner))
    feed(shard, event(1, asserts("a2", "Sarah", "LIKES", "tea"), scope=Scope("alex", "chef")))
    feed(shard, event(2, asserts("a3", "Sarah", "LIKES", "soup"), subject=KIM, scope=Scope("kim")))
    feed(shard, event(3, asserts("a4", "Sarah", "LIKES", "beer"), tenant="zeta"))
    walk = Walk("alex", hops=3)
    assert await walked(shard, walk) == [(1, "alex", "Sarah"), (2, "Sarah", "tea")]
    for subject in (ALEX, None):
        assert await walked(shard, walk, subject, planner) == [(1, "alex", "Sarah")]
    assert await walked(shard, walk, None, Scope(agent_id="chef")) == []
    assert await walked(shard, Walk("Sarah"), tenant="zeta") == [(1, "Sarah", "beer")]


async def test_what_ended_comes_back_with_when_and_as_of_before_that_it_held(shard: GraphShard) -> None:
    agent = Scope("alex", "planner")
    feed(shard, event(0, asserts("a1", "Sarah", "WORKS_AT", "Google"), scope=agent))
    feed(
        shard,
        event(
            5,
            replace(retracts("a1"), valid_to=START - DAY),
            asserts("a2", "Sarah", "WORKS_AT", "Meta"),
            scope=agent,
        ),
    )
    index = OxigraphRelations({0: shard})
    for subject in (ALEX, None):
        found = await index.around("acme", subject, Scope(agent_id="planner"), Walk("Sarah", ended=True))
        past, now = (near.relation for near in found.relations)
        assert (past.target, past.valid_to, past.until) == (
            "Google",
            START - DAY,
            START + timedelta(seconds=5),
        )
        assert (now.target, now.valid_to, now.until) == ("Meta", None, None)
        assert await walked(shard, Walk("Sarah"), subject, agent) == [(1, "Sarah", "Meta")]
        before = replace(Walk("Sarah", ended=True), as_of=START + timedelta(seconds=4))
        found = await index.around("acme", subject, agent, before)
        assert [
            (near.relation.target, near.relation.valid_to, near.relation.until) for near in found.relations
        ] == [("Google", None, None)]


async def test_true_then_and_known_now_or_known_then(shard: GraphShard) -> None:
    """On the third day it was learnt that Sarah had left Google on the first."""
    began = replace(asserts("a1", "Sarah", "WORKS_AT", "Google"), valid_from=START - 9 * DAY)
    feed(shard, event(0, began))
    feed(shard, event(3 * 86400, replace(retracts("a1"), valid_to=START + DAY)))
    google = [(1, "Sarah", "Google")]
    assert await walked(shard, Walk("Sarah", valid_at=START)) == google
    assert await walked(shard, Walk("Sarah", valid_at=START + 2 * DAY)) == []
    assert await walked(shard, Walk("Sarah", valid_at=START + 2 * DAY, as_of=START + 2 * DAY)) == google
    assert await walked(shard, Walk("Sarah", valid_at=START - 20 * DAY)) == []


async def test_what_was_cleared_is_not_said_to_have_been_true(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "WORKS_AT", "Google")))
    feed(shard, event(9, clears=[Clear(Scope("alex"))]))
    assert await walked(shard, Walk("Sarah", valid_at=START)) == []
    assert await walked(shard, Walk("Sarah", valid_at=START, ended=True)) == [(1, "Sarah", "Google")]
