"""A graph mirror at a real Fuseki: what it holds is what the book exports, whatever died in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from memfold.projections.graph import GraphShard
from memfold.projections.graph_quads import Quad
from memfold.projections.graph_terms import SubjectGraph, named, prov_iri
from memfold.schemas.records import Event
from memfold.stores.errors import StoreRefused, StoreUnavailable
from memfold.stores.graph_mirror_shard import GraphMirrorShard
from memfold.stores.sparql import SparqlEndpoint, SparqlSettings
from tests.projections.shard_contract import feed
from tests.stores.fuseki import Fuseki
from tests.strategies import OWNERS, history


@pytest.fixture(scope="module")
def fuseki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuseki]:
    server = Fuseki(tmp_path_factory.mktemp("fuseki"))
    yield server
    server.kill()


@pytest.fixture
def endpoint(fuseki: Fuseki) -> Iterator[SparqlEndpoint]:
    with closing(SparqlEndpoint(settings_of(fuseki))) as endpoint:
        yield endpoint
        endpoint._send("DROP ALL")


def settings_of(fuseki: Fuseki) -> SparqlSettings:
    return SparqlSettings(query_endpoint=f"{fuseki.url}/query", update_endpoint=f"{fuseki.url}/update")


def cut(events: list[Event], chance: Random) -> Iterator[list[Event]]:
    """The history in batches of any size."""
    start = 0
    while start < len(events):
        end = start + chance.randint(1, 20)
        yield events[start:end]
        start = end


@pytest.mark.parametrize("seed", range(3))
def test_the_endpoint_holds_what_the_book_exports(
    tmp_path: Path, endpoint: SparqlEndpoint, seed: int
) -> None:
    events = history(Random(seed), 90)
    with (
        closing(GraphMirrorShard(tmp_path / "p0000", 0, endpoint)) as mirror,
        closing(GraphShard(tmp_path / "plain", 0)) as plain,
    ):
        for batch in cut(events, Random(seed)):
            feed(mirror, batch)
        feed(plain, events)
        assert mirror.all_graphs()
        assert mirror.differing() == []
        assert mirror.digest() == plain.digest()


class Failing(SparqlEndpoint):
    """Breaks off before the update that `left` counts down to."""

    left = 0

    def change(self, removed: Iterable[Quad], added: Iterable[Quad]) -> None:
        if self.left == 0:
            raise StoreUnavailable("the endpoint went away in the middle")
        self.left -= 1
        super().change(removed, added)


@pytest.mark.parametrize("seed", range(2))
def test_a_batch_that_broke_off_is_told_again_in_other_batches(
    tmp_path: Path, fuseki: Fuseki, endpoint: SparqlEndpoint, seed: int
) -> None:
    events, chance = history(Random(seed), 90), Random(seed)
    with closing(Failing(settings_of(fuseki))) as failing:
        for _ in range(8):
            failing.left = chance.randint(0, 5)
            with closing(GraphMirrorShard(tmp_path / "p0000", 0, failing)) as mirror:
                at = mirror.position().offset
                with suppress(StoreUnavailable):
                    for batch in cut([event for event in events if event.offset > at], chance):
                        feed(mirror, batch)
    with closing(GraphMirrorShard(tmp_path / "p0000", 0, endpoint)) as mirror:
        feed(mirror, events)
        assert mirror.differing() == []


def test_a_killed_endpoint_goes_on_where_it_was(
    tmp_path: Path, fuseki: Fuseki, endpoint: SparqlEndpoint
) -> None:
    events = history(Random(9), 90)
    with closing(GraphMirrorShard(tmp_path / "p0000", 0, endpoint)) as mirror:
        feed(mirror, events[:60])
        before = mirror.position()
        fuseki.kill()
        with pytest.raises(StoreUnavailable, match=r"update does not answer.*start it"):
            feed(mirror, events[60:])
        assert mirror.position() == before
        fuseki.start()
        feed(mirror, events[60:])
        assert mirror.differing() == []


def test_what_somebody_changed_at_the_endpoint_is_named(tmp_path: Path, endpoint: SparqlEndpoint) -> None:
    with closing(GraphMirrorShard(tmp_path / "p0000", 0, endpoint)) as mirror:
        feed(mirror, history(Random(1), 90))
        iri = prov_iri(SubjectGraph(OWNERS[0].tenant, OWNERS[0].subject))
        digest = mirror.digest()
        endpoint.change([], [(named(iri), "<urn:x> <urn:y> <urn:z>")])
        assert mirror.differing() == [iri]
        assert mirror.digest() != digest


def test_an_endpoint_that_refuses_is_quoted(tmp_path: Path, fuseki: Fuseki) -> None:
    settings = SparqlSettings(query_endpoint=f"{fuseki.url}/query", update_endpoint=f"{fuseki.url}/nothing")
    with (
        closing(SparqlEndpoint(settings)) as endpoint,
        closing(GraphMirrorShard(tmp_path / "p0000", 0, endpoint)) as mirror,
        pytest.raises(StoreRefused, match=r"/nothing refused: HTTP 405 Error 405"),
    ):
        feed(mirror, history(Random(1), 60))


def test_dropped_graphs_are_gone(tmp_path: Path, endpoint: SparqlEndpoint) -> None:
    with closing(GraphMirrorShard(tmp_path / "p0000", 0, endpoint)) as mirror:
        feed(mirror, history(Random(1), 90))
        mirror.drop()
        held = [endpoint.graph(prov_iri(graph)) for graph in mirror.all_graphs()]
    assert held
    assert not any(held)
