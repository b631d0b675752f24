from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pyoxigraph as ox
import pytest
from rdflib import Graph, Literal, URIRef
from rdflib.namespace import PROV, RDF, RDFS

from memfold.memory.entities import entity_key
from memfold.memory.errors import InvalidInput
from memfold.projections.graph import GraphShard
from memfold.projections.graph_terms import (
    VOCABULARY,
    SubjectGraph,
    assertion_iri,
    command_iri,
    entity_iri,
    event_iri,
    graph_iri,
    memory_iri,
    prov_iri,
    relationship_iri,
    type_iri,
)
from memfold.schemas.records import Scope
from tests.projections.graph_events import ALEX, KIM, START, asserts, event, feed, retracts

MINE = SubjectGraph("acme", ALEX)
NASTY = 'a "b> c\\ \n\0 שלום } ; DROP ALL'


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[GraphShard]:
    with closing(GraphShard(tmp_path / "p0000", 0)) as shard:
        works = asserts("a1", "Sarah", "WORKS_AT", "Google", types=("PERSON", "COMPANY"), confidence=0.5)
        feed(
            shard,
            event(
                0, works, asserts("a2", "Sarah", "WORKS_AT", "Google Inc."), scope=Scope("alex", "planner")
            ),
        )
        feed(shard, event(1, asserts("a3", "Sarah", "LIKES", NASTY), asserts("a4", "Sarah", "LIKES", "tea")))
        feed(shard, event(2, retracts("a4")), event(3, asserts("a5", "Kim", "LIKES", "secret"), subject=KIM))
        yield shard


def test_an_assertion_is_spelled_out(shard: GraphShard) -> None:
    prov = shard.dataset(*MINE).graph(URIRef(prov_iri(MINE)))
    name, event_name = URIRef(assertion_iri("a1")), URIRef(event_iri(0, 0))
    assert (name, RDF.type, RDF.Statement) in prov
    assert (name, RDF.subject, URIRef(entity_iri(MINE, entity_key("Sarah")))) in prov
    assert (name, RDF.predicate, URIRef(relationship_iri("WORKS_AT"))) in prov
    assert (name, RDF.object, URIRef(entity_iri(MINE, entity_key("Google")))) in prov
    assert (name, URIRef(VOCABULARY + "evidence"), URIRef(memory_iri("of-a1"))) in prov
    assert (name, URIRef(VOCABULARY + "confidence"), Literal(0.5)) in prov
    assert (name, URIRef(VOCABULARY + "agent"), Literal("planner")) in prov
    assert (name, PROV.wasDerivedFrom, event_name) in prov
    assert prov.value(name, PROV.generatedAtTime) == Literal(START)
    command = prov.value(event_name, PROV.wasGeneratedBy)
    assert command == prov.value(name, PROV.wasGeneratedBy)
    assert str(command).startswith(command_iri(""))


def test_what_has_ended_is_in_the_provenance_only(shard: GraphShard) -> None:
    dataset = shard.dataset(*MINE)
    prov, holds = dataset.graph(URIRef(prov_iri(MINE))), dataset.graph(URIRef(graph_iri(MINE)))
    ended = prov.value(URIRef(assertion_iri("a4")), PROV.invalidatedAtTime)
    assert ended == Literal(START + timedelta(seconds=2))
    assert prov.value(URIRef(assertion_iri("a1")), PROV.invalidatedAtTime) is None
    tea = URIRef(entity_iri(MINE, entity_key("tea")))
    assert not list(holds.subjects(None, tea))


def test_an_entity_keeps_every_name_and_type(shard: GraphShard) -> None:
    holds = shard.dataset(*MINE).graph(URIRef(graph_iri(MINE)))
    google = URIRef(entity_iri(MINE, entity_key("Google")))
    assert set(map(str, holds.objects(google, RDFS.label))) == {"Google", "Google Inc."}
    types = set(holds.objects(google, RDF.type))
    assert types == {URIRef(type_iri("COMPANY")), URIRef(type_iri("THING"))}
    assert len(list(holds.triples((None, URIRef(relationship_iri("WORKS_AT")), google)))) == 1


@pytest.mark.parametrize(
    ("format", "syntax"),
    [("trig", ox.RdfFormat.TRIG), ("n-quads", ox.RdfFormat.N_QUADS), ("json-ld", ox.RdfFormat.JSON_LD)],
)
def test_an_export_can_be_read_again(shard: GraphShard, format: str, syntax: ox.RdfFormat) -> None:
    text = shard.export(*MINE, format)
    again = ox.Store()
    again.load(text, format=syntax)
    quads = {
        (subject, predicate, value, graph.identifier)
        for graph in shard.dataset(*MINE).graphs()
        for subject, predicate, value in graph
    }
    assert len(quads) == len(again)
    assert ox.Literal(NASTY) in {quad.object for quad in again}
    assert "secret" not in text


def test_turtle_is_one_graph_that_rdflib_reads(shard: GraphShard) -> None:
    text = shard.export(*MINE, "turtle")
    graph = Graph().parse(data=text, format="turtle")
    assert (URIRef(entity_iri(MINE, entity_key("Sarah"))), URIRef(relationship_iri("LIKES")), None) in graph
    assert (URIRef(assertion_iri("a4")), RDF.type, RDF.Statement) in graph
    assert text.count("@prefix") == 5


def test_a_format_that_there_is_not_is_named(shard: GraphShard) -> None:
    with pytest.raises(InvalidInput, match=r"'xlsx'.*json-ld"):
        shard.export(*MINE, "xlsx")


def test_a_subject_without_a_graph_exports_nothing(shard: GraphShard) -> None:
    assert shard.export("acme", "nobody", "n-quads") == ""
