"""A subject's graph as an rdflib Dataset and as text: the records of assertions spelled out in rdf:Statement and PROV-O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyoxigraph as ox
from oxrdflib import OxigraphStore
from rdflib import Dataset, Graph
from rdflib.namespace import NamespaceManager

from memfold.memory.errors import InvalidInput
from memfold.projections.graph_fold import Assertion
from memfold.projections.graph_quads import instant
from memfold.projections.graph_terms import (
    PROV,
    RDF,
    RDFS,
    VOCABULARY,
    XSD,
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

FORMATS = {"turtle": "ox-turtle", "trig": "ox-trig", "json-ld": "ox-json-ld", "n-quads": "ox-nquads"}
_PREFIXES = {"rdf": RDF, "rdfs": RDFS, "xsd": XSD, "prov": PROV, "mf": VOCABULARY}

Fact = tuple[ox.NamedNode, str, ox.NamedNode | ox.Literal]


def spelled_out(
    graph: SubjectGraph, active: Iterable[Assertion], ended: Iterable[tuple[Assertion, datetime]]
) -> Dataset:
    """The dataset of a subject, in memory: what holds in its graph, every assertion in the /prov graph behind it."""
    store = ox.Store()
    store.extend(every_quad(graph, active, ended))
    dataset = Dataset(store=OxigraphStore(store=store))
    _bind(dataset)
    return dataset


def every_quad(
    graph: SubjectGraph, active: Iterable[Assertion], ended: Iterable[tuple[Assertion, datetime]]
) -> Iterator[ox.Quad]:
    """What stands in both graphs of a subject."""
    for assertion in active:
        yield from holding(graph, [assertion])
        yield from provenance(graph, assertion)
    for assertion, until in ended:
        yield from provenance(graph, assertion, until)


def holding(graph: SubjectGraph, active: Iterable[Assertion]) -> Iterator[ox.Quad]:
    """What stands in the subject's graph while these hold: the triples, and what their entities are called."""
    holds = ox.NamedNode(graph_iri(graph))
    for assertion in active:
        yield ox.Quad(*_triple(graph, assertion), holds)
        yield from _quads(_named(graph, assertion), holds)


def provenance(graph: SubjectGraph, assertion: Assertion, until: datetime | None = None) -> Iterator[ox.Quad]:
    """What the /prov graph says of an assertion; with `until`, also when it ended."""
    prov = ox.NamedNode(prov_iri(graph))
    yield from _quads(_reified(graph, assertion), prov)
    if until is not None:
        invalidated = ox.NamedNode(PROV + "invalidatedAtTime")
        yield ox.Quad(_node(assertion_iri(assertion.assertion_id)), invalidated, instant(until), prov)


def serialized(dataset: Dataset, format: str) -> str:
    """The dataset as text. Raises InvalidInput for a format that there is not."""
    if format not in FORMATS:
        raise InvalidInput(f"there is no export as {format!r}; choose one of {', '.join(FORMATS)}")
    if format != "turtle":
        return dataset.serialize(format=FORMATS[format])
    merged = Graph(store=OxigraphStore(store=ox.Store()))
    _bind(merged)
    for subject, predicate, value, _ in dataset.quads():
        merged.add((subject, predicate, value))
    return merged.serialize(format=FORMATS[format])


def _bind(graph: Graph) -> None:
    """memfold's prefixes and no others: rdflib would write thirty."""
    graph.namespace_manager = NamespaceManager(graph, bind_namespaces="none")
    for prefix, namespace in _PREFIXES.items():
        graph.bind(prefix, namespace)


def _node(iri: str) -> ox.NamedNode:
    return ox.NamedNode(iri)


def _triple(graph: SubjectGraph, assertion: Assertion) -> tuple[ox.NamedNode, ox.NamedNode, ox.NamedNode]:
    source, relationship, target = assertion.triple()
    return (
        _node(entity_iri(graph, source)),
        _node(relationship_iri(relationship)),
        _node(entity_iri(graph, target)),
    )


def _named(graph: SubjectGraph, assertion: Assertion) -> Iterator[Fact]:
    """What entities were called, and of what type they were taken to be."""
    ends = (
        (assertion.source_entity, assertion.source, assertion.source_type),
        (assertion.target_entity, assertion.target, assertion.target_type),
    )
    for entity_id, name, kind in ends:
        entity = _node(entity_iri(graph, entity_id))
        yield entity, RDFS + "label", ox.Literal(name)
        yield entity, RDF + "type", _node(type_iri(kind))


def _reified(graph: SubjectGraph, assertion: Assertion) -> Iterator[Fact]:
    name = _node(assertion_iri(assertion.assertion_id))
    event = _node(event_iri(assertion.partition, assertion.offset))
    command = _node(command_iri(assertion.command_id))
    source, relationship, target = _triple(graph, assertion)
    yield name, RDF + "type", _node(RDF + "Statement")
    yield name, RDF + "type", _node(PROV + "Entity")
    yield name, RDF + "subject", source
    yield name, RDF + "predicate", relationship
    yield name, RDF + "object", target
    yield name, VOCABULARY + "sourceName", ox.Literal(assertion.source)
    yield name, VOCABULARY + "targetName", ox.Literal(assertion.target)
    if assertion.said_as:
        yield name, VOCABULARY + "relationshipName", ox.Literal(assertion.said_as)
    for bound, moment in (("validFrom", assertion.valid_from), ("validTo", assertion.valid_to)):
        if moment is not None:
            yield name, VOCABULARY + bound, instant(moment)
    yield name, VOCABULARY + "confidence", ox.Literal(assertion.confidence)
    yield name, VOCABULARY + "evidence", _node(memory_iri(assertion.memory_id))
    for field, value in zip(("user", "agent", "run", "actor"), assertion.scope.ids(), strict=True):
        if value is not None:
            yield name, VOCABULARY + field, ox.Literal(value)
    yield name, PROV + "generatedAtTime", instant(assertion.since)
    yield name, PROV + "wasDerivedFrom", event
    yield name, PROV + "wasGeneratedBy", command
    yield event, RDF + "type", _node(PROV + "Entity")
    yield event, VOCABULARY + "eventId", ox.Literal(assertion.event_id)
    yield event, PROV + "wasGeneratedBy", command
    yield command, RDF + "type", _node(PROV + "Activity")


def _quads(facts: Iterable[Fact], graph: ox.NamedNode) -> Iterator[ox.Quad]:
    return (ox.Quad(subject, _node(predicate), value, graph) for subject, predicate, value in facts)
