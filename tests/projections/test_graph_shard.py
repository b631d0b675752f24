from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pyoxigraph as ox
import pytest
from msgspec.structs import replace

from memfold.memory.entities import entity_key
from memfold.memory.errors import ShardDamaged, ShardLocked, ViewUnreachable
from memfold.projections import graph_store
from memfold.projections.base import Position, Shard
from memfold.projections.graph import GraphShard
from memfold.projections.graph_terms import SubjectGraph, entity_iri, graph_iri, relationship_iri
from memfold.schemas.errors import Unreadable
from memfold.schemas.records import Clear, RelationChange, Scope
from tests.projections.graph_events import ALEX, KIM, START, asserts, event, feed, retracts
from tests.projections.shard_contract import ShardContract
from tests.strategies import history

MINE = SubjectGraph("acme", ALEX)


class TestGraphShard(ShardContract):
    @staticmethod
    def open_shard(path: Path) -> Shard:
        return GraphShard(path, 0)


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[GraphShard]:
    with closing(GraphShard(tmp_path / "p0000", 0)) as shard:
        yield shard


def triples(shard: GraphShard, graph: SubjectGraph = MINE) -> set[tuple[str, str, str]]:
    """What holds: the quads of the subject's own graph, as they are in the store."""
    name = ox.NamedNode(graph_iri(graph))
    found = shard._store().triples.quads_for_pattern(None, None, None, name)
    return {(str(quad.subject), quad.predicate.value, str(quad.object)) for quad in found}


def triple(source: str, relationship: str, target: str, graph: SubjectGraph = MINE) -> tuple[str, str, str]:
    return (
        f"<{entity_iri(graph, entity_key(source))}>",
        relationship_iri(relationship),
        f"<{entity_iri(graph, entity_key(target))}>",
    )


def names(shard: GraphShard, graph: SubjectGraph = MINE) -> list[str]:
    return list(shard.active(graph))


def test_the_golden_example(shard: GraphShard) -> None:
    met = asserts("a1", "alex", "MET", "Sarah", "m1", ("PERSON", "PERSON"))
    works = asserts("a2", "Sarah", "WORKS_AT", "Google", "m1", ("PERSON", "COMPANY"))
    feed(shard, event(0, met, works))
    assert triples(shard) == {triple("alex", "MET", "Sarah"), triple("Sarah", "WORKS_AT", "Google")}
    first, second = (assertion.relation() for assertion in shard.active(MINE).values())
    assert (first.source, first.relationship, first.target) == ("alex", "MET", "Sarah")
    assert (second.source_type, second.target_type) == ("PERSON", "COMPANY")
    assert (second.memory_id, second.assertion_id, second.since) == ("m1", "a2", START)


def test_a_triple_holds_while_one_assertion_of_it_is_active(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "WORKS_AT", "Google")))
    feed(shard, event(1, asserts("a2", "sarah", "WORKS_AT", "Google Inc.")))
    feed(shard, event(2, retracts("a1")))
    assert triples(shard) == {triple("Sarah", "WORKS_AT", "Google")}
    assert names(shard) == ["a2"]
    feed(shard, event(3, retracts("a2")))
    assert triples(shard) == set()
    assert names(shard) == []


def test_a_triple_that_is_said_again_in_the_batch_that_ends_it_holds(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "WORKS_AT", "Google")))
    feed(shard, event(1, retracts("a1")), event(2, asserts("a2", "Sarah", "WORKS_AT", "Google")))
    assert triples(shard) == {triple("Sarah", "WORKS_AT", "Google")}


def test_an_assertion_that_ends_in_its_own_batch_is_history(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea")), event(1, retracts("a1")))
    assert (triples(shard), names(shard)) == (set(), [])
    feed(shard, event(2, asserts("a1", "Sarah", "LIKES", "coffee")))
    assert names(shard) == [], "an id is asserted once, also after it ended"


@pytest.mark.parametrize(
    "change", ["asserted again", "unknown retracted", "ended retracted", "another's retracted"]
)
def test_what_makes_no_sense_changes_nothing(shard: GraphShard, change: str) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea"), asserts("a2", "Sarah", "LIKES", "milk")))
    feed(shard, event(1, retracts("a2")))
    before = shard.digest()
    again = {
        "asserted again": event(2, asserts("a1", "Kim", "LIKES", "soup")),
        "unknown retracted": event(2, retracts("a9")),
        "ended retracted": event(2, retracts("a2")),
        "another's retracted": event(2, retracts("a1"), subject=KIM),
    }[change]
    assert feed(shard, again) == shard.position()
    assert shard.digest() == before


def test_a_clear_ends_what_its_scope_covers(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea"), scope=Scope("alex", "planner")))
    feed(shard, event(1, asserts("a2", "Sarah", "LIKES", "tea"), scope=Scope("alex")))
    feed(shard, event(2, asserts("a3", "Kim", "LIKES", "tea"), scope=Scope("alex", "planner"), subject=KIM))
    feed(shard, event(3, clears=[Clear(Scope("alex", "planner"))]))
    assert (names(shard), names(shard, SubjectGraph("acme", KIM))) == (["a2"], ["a3"])
    assert triples(shard) == {triple("Sarah", "LIKES", "tea")}


def test_a_clear_comes_before_the_relations_of_its_event(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea")))
    feed(shard, event(1, asserts("a2", "Sarah", "LIKES", "milk"), clears=[Clear(Scope())]))
    assert names(shard) == ["a2"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_whole_tenant_is_cleared_and_no_other(shard: GraphShard, at_once: bool) -> None:
    events = [
        event(0, asserts("a1", "Sarah", "LIKES", "tea")),
        event(1, asserts("a2", "Sarah", "LIKES", "tea"), subject=KIM),
        event(2, asserts("a3", "Sarah", "LIKES", "tea"), tenant="acme2"),
        event(3, clears=[Clear(Scope("nobody"), whole_tenant=True)], subject="tenant's own"),
        event(4, asserts("a4", "Sarah", "LIKES", "milk"), subject=KIM),
    ]
    for batch in [events] if at_once else [[one] for one in events]:
        feed(shard, *batch)
    assert (names(shard), names(shard, SubjectGraph("acme", KIM))) == ([], ["a4"])
    assert names(shard, SubjectGraph("acme2", ALEX)) == ["a3"]
    assert len(triples(shard, SubjectGraph("acme2", ALEX))) == 1


def test_an_update_of_a_memory_does_not_end_its_relations(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea", "m1")))
    feed(shard, event(1, asserts("a2", "Sarah", "LIKES", "milk", "m1")))
    assert names(shard) == ["a1", "a2"]


def test_small_and_large_commits_give_the_same_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = set()
    for bulk in (1, 40, 10**9):
        monkeypatch.setattr(graph_store, "BULK", bulk)
        with closing(GraphShard(tmp_path / str(bulk), 0)) as shard:
            for number in range(6):
                feed(shard, *history(Random(5), 240)[40 * number : 40 * number + 40])
            digests.add(shard.digest())
    assert len(digests) == 1


def test_the_newest_position_counts_whatever_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_store, "BULK", 1)
    for number, ignored in enumerate((3, 9, 1)):
        with closing(GraphShard(tmp_path / "p0000", 0)) as shard:
            placed = Position(offset=number, ignored=ignored)
            shard.apply([event(number, asserts(f"a{number}", "Sarah", "LIKES", "tea"))], placed)
        with closing(GraphShard(tmp_path / "p0000", 0)) as shard:
            assert shard.position() == placed


@pytest.mark.parametrize("confidence", [float("nan"), float("inf")])
def test_a_confidence_that_is_no_number_is_refused(shard: GraphShard, confidence: float) -> None:
    with pytest.raises(Unreadable, match="offset 4"):
        feed(shard, event(4, asserts("a1", "Sarah", "LIKES", "tea", confidence=confidence)))
    assert shard.position() == Position()


def test_an_unknown_operation_is_refused(shard: GraphShard) -> None:
    with pytest.raises(Unreadable, match="'MERGE'"):
        feed(shard, event(0, RelationChange("MERGE", "a1", "m1", "Sarah", "LIKES", "tea")))


def test_a_store_that_is_open_without_our_lock_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "p0000"
    path.mkdir()
    store = ox.Store(path / "oxigraph")
    with pytest.raises(ShardLocked, match="p0000"):
        GraphShard(path, 0)
    del store
    GraphShard(path, 0).close()


def test_a_closed_shard_says_so(shard: GraphShard) -> None:
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea")))
    shard.close()
    shard.close()
    assert shard.closed
    with pytest.raises(ViewUnreachable, match="p0000"):
        shard.active(MINE)


def test_a_commit_that_fails_closes_the_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    shard = GraphShard(tmp_path / "p0000", 0)
    feed(shard, event(0, asserts("a1", "Sarah", "LIKES", "tea")))
    monkeypatch.setattr(graph_store, "as_update", no_space)
    with pytest.raises(OSError, match="No space"):
        feed(shard, event(1, asserts("a2", "Sarah", "LIKES", "milk")))
    assert shard.closed
    with closing(GraphShard(tmp_path / "p0000", 0)) as again:
        assert (again.position().offset, names(again)) == (0, ["a1"])


@pytest.mark.parametrize("damage", ["bytes", "cut", "gone", "CURRENT", "MANIFEST"])
def test_a_damaged_folder_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "p0000"
    with closing(GraphShard(path, 0)) as shard:
        feed(shard, *history(Random(3), 400))
    files = sorted((path / "oxigraph").glob("*.sst"), key=lambda file: file.stat().st_size)
    if damage == "bytes":
        for file in files:
            content = bytearray(file.read_bytes())
            content[len(content) // 4 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 4)
            file.write_bytes(content)
    elif damage == "cut":
        files[-1].write_bytes(files[-1].read_bytes()[:100])
    elif damage == "gone":
        files[-1].unlink()
    elif damage == "CURRENT":
        (path / "oxigraph" / "CURRENT").unlink()
    else:
        manifest = next((path / "oxigraph").glob("MANIFEST*"))
        manifest.write_bytes(b"?" * 200 + manifest.read_bytes()[200:])
    with (
        pytest.raises(ShardDamaged, match=r"p0000.*memfold replay rebuild"),
        closing(GraphShard(path, 0)) as shard,
    ):
        shard.digest()


def test_what_moves_to_another_entity_keeps_its_scope(shard: GraphShard) -> None:
    scope = Scope(user_id="alex", run_id="r1")
    feed(shard, event(0, asserts("a1", "Bob", "LIKES", "tea", "m1"), scope=scope))
    moved = replace(asserts("a2", "Bob", "LIKES", "tea", "m1"), source_entity="robert")
    whole = event(1, replace(retracts("a1"), memory_id="m1"), moved)
    only_relations = replace(whole, body=replace(whole.body, operations=[]))
    feed(shard, only_relations)
    (held,) = shard.active(MINE).values()
    assert (held.source_entity, held.scope) == ("robert", scope)
