from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from memfold.memory.ports import About, RelationGraph
from memfold.projections.graph import GraphShard
from memfold.projections.graph_cache import ActiveAssertions
from memfold.projections.graph_index import OxigraphRelations
from memfold.projections.graph_terms import SubjectGraph
from memfold.schemas.records import Scope
from tests.projections.graph_events import ALEX, KIM, START, asserts, event, feed, retracts

HOSTILE = [
    'a "quoted" <name>',
    "> . } } ; DROP ALL #",
    "line\nbreak\r\ttab",
    "nul\0",
    "back\\slash\\u0041",
    "' OR 1=1 --",
    "שלום e\u0301 👩\u200d🚀 \u202e",
    "\ufffe\U0010ffff\x7f\x85\u2028",
    "?s ?p ?o",
    "urn:memfold:g/acme",
    "x" * 10_000,
    " ",
]


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[GraphShard]:
    with closing(GraphShard(tmp_path / "p0000", 0)) as shard:
        yield shard


async def targets(
    index: RelationGraph, subject: str | None = ALEX, *, tenant: str = "acme", **asked: object
) -> list[str]:
    scope = asked.pop("scope", Scope())
    assert isinstance(scope, Scope)
    found = await index.relations(tenant, subject, scope, **asked)  # type: ignore[arg-type]
    return [relation.target for relation in found]


async def test_by_scope_by_relationship_and_by_limit_oldest_first(shard: GraphShard) -> None:
    index = OxigraphRelations({0: shard})
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea"), scope=Scope("alex", "planner")))
    feed(shard, event(1, asserts("a2", "Sarah", "MET", "Kim"), asserts("a0", "Sarah", "LIKES", "milk")))
    feed(shard, event(2, asserts("a3", "Sarah", "LIKES", "soup"), retracts("a0")))
    assert await targets(index) == ["tea", "Kim", "soup"]
    assert await targets(index, relationship="LIKES") == ["tea", "soup"]
    assert await targets(index, relationship="likes") == []
    assert await targets(index, limit=2) == ["tea", "Kim"]
    assert await targets(index, scope=Scope(agent_id="planner")) == ["tea"]
    assert await targets(index, scope=Scope("kim")) == []


async def test_nothing_of_another_tenant_or_subject_is_returned(shard: GraphShard) -> None:
    index = OxigraphRelations({0: shard})
    team = Scope("alex", "planner", "run-1")
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea"), scope=team))
    feed(shard, event(1, asserts("a2", "Sarah", "LIKES", "milk"), scope=team, subject=KIM))
    feed(shard, event(2, asserts("a3", "Sarah", "LIKES", "soup"), scope=team, tenant="acme/"))
    feed(shard, event(3, asserts("a4", "Sarah", "LIKES", "beer"), scope=team, tenant="acm"))
    assert await targets(index) == ["tea"]
    assert await targets(index, tenant="acme/") == ["soup"]
    assert await targets(index, KIM, tenant="acme/") == []
    assert await targets(index, "*") == await targets(index, "", tenant="") == []
    for scope in (Scope(), Scope(agent_id="planner"), Scope(run_id="run-1"), team):
        assert await targets(index, None, scope=scope) == ["tea", "milk"]
        assert await targets(index, None, tenant="acm", scope=scope) == ["beer"]


async def test_a_whole_tenant_by_agent_or_run(shard: GraphShard) -> None:
    index = OxigraphRelations({0: shard})
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea"), scope=Scope("alex", "planner")))
    feed(
        shard,
        event(1, asserts("a2", "Sarah", "LIKES", "milk"), scope=Scope("kim", "planner", "r1"), subject=KIM),
    )
    feed(
        shard, event(2, asserts("a3", "Sarah", "LIKES", "soup"), scope=Scope("kim", None, "r1"), subject=KIM)
    )
    feed(shard, event(3, asserts("a4", "Sarah", "LIKES", "beer"), scope=Scope("kim", ""), subject=KIM))
    assert await targets(index, None, scope=Scope(agent_id="planner")) == ["tea", "milk"]
    assert await targets(index, None, scope=Scope(run_id="r1")) == ["milk", "soup"]
    assert await targets(index, None, scope=Scope("kim", "planner", "r1")) == ["milk"]
    assert await targets(index, None, scope=Scope(agent_id="")) == ["beer"]
    assert await targets(index, None, scope=Scope(agent_id='" } ; DROP ALL')) == []
    feed(shard, event(4, retracts("a2"), subject=KIM))
    assert await targets(index, None, scope=Scope(agent_id="planner")) == ["tea"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_comes_back_as_it_was_said(tmp_path: Path, name: str) -> None:
    owner = SubjectGraph(name, name)
    scope = Scope(name, name, name, name)
    said = asserts(name, name, name, name, name, (name, name))
    with closing(GraphShard(tmp_path / "p", 0)) as shard:
        feed(shard, event(0, said, tenant=name, subject=name, scope=scope))
        feed(shard, event(1, asserts("other", "Sarah", "LIKES", "tea")))
    with closing(GraphShard(tmp_path / "p", 0)) as shard:
        index = OxigraphRelations({0: shard})
        for subject in (owner.subject, None):
            (relation,) = await index.relations(owner.tenant, subject, scope, name)
            assert {relation.source, relation.relationship, relation.target, relation.memory_id} == {name}
            assert {relation.source_type, relation.target_type, relation.assertion_id} == {name}
        feed(shard, event(2, retracts(name), tenant=name, subject=name))
        assert await index.relations(owner.tenant, owner.subject, Scope()) == []
        assert await targets(index) == ["tea"]


async def test_names_of_one_entity_come_back_as_they_were_said(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "WORKS_AT", "Google Inc.")))
    feed(shard, event(1, asserts("a2", "sarah", "WORKS_AT", "google")))
    assert await targets(OxigraphRelations({0: shard})) == ["Google Inc.", "google"]


async def test_several_shards_that_come_and_go(tmp_path: Path, shard: GraphShard) -> None:
    other = GraphShard(tmp_path / "p0001", 1)
    shards: dict[int, GraphShard | None] = {0: shard, 1: other, 2: None}
    index = OxigraphRelations(shards)
    feed(shard, event(5, asserts("a1", "Sarah", "LIKES", "tea")))
    feed(other, event(1, asserts("a2", "Sarah", "LIKES", "milk"), subject=KIM))
    assert await targets(index, None) == ["milk", "tea"], "oldest first, over all shards"
    assert await targets(index, KIM) == ["milk"]
    other.close()
    assert await targets(index, None) == ["tea"]
    assert await targets(index, KIM) == []


async def test_confidence_and_since_come_back(shard: GraphShard) -> None:
    feed(shard, event(7, asserts("a1", "Sarah", "LIKES", "tea", confidence=0.3)))
    (relation,) = await OxigraphRelations({0: shard}).relations("acme", ALEX, Scope())
    assert (relation.confidence, relation.since) == (0.3, START + timedelta(seconds=7))


def test_the_least_recently_used_graph_is_dropped_first(shard: GraphShard) -> None:
    feed(shard, event(0, *(asserts(f"a{n}", "Sarah", "LIKES", f"tea {n}") for n in range(5))))
    five = shard.active(SubjectGraph("acme", ALEX))
    one, two, three = (SubjectGraph("acme", name) for name in "123")
    kept = ActiveAssertions(kept=12)
    kept.put(one, five)
    kept.put(two, five)
    assert kept.get(one) is five
    kept.put(three, {})
    assert (kept.get(two), kept.get(one), kept.get(three)) == (None, five, {})
    kept.forget()
    assert kept.get(one) is None


async def test_about_memories_or_words(shard: GraphShard) -> None:
    index = OxigraphRelations({0: shard})
    feed(
        shard,
        event(0, asserts("a1", "alex", "MET", "Sarah"), asserts("a2", "Sarah", "WORKS_AT", "Google Inc.")),
    )
    feed(shard, event(1, asserts("a3", "alex", "LIVES_IN", "Oslo")))
    assert await targets(index, about=About(words=["google", "who"])) == ["Google Inc."]
    assert await targets(index, about=About(["of-a1"], ["oslo"])) == ["Sarah", "Oslo"]
    assert await targets(index, about=About()) == []
