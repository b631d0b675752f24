"""The quads of the graph projection: what an assertion looks like in RDF while it is active, and once it has ended.

    g/<tenant>/<subject>        S P O .                                  the triples that hold now
    g/<tenant>/<subject>/prov   A rdf:reifies <<( S P O )>> ;            a reifier, as in RDF 1.2
                                  prov:wasDerivedFrom <event> ; mf:agent "…" ; mf:run "…" ;
                                  mf:holds "record"^^rdf:JSON .          and when it has ended, instead of mf:holds:
                                  mf:held "record"^^rdf:JSON ; prov:invalidatedAtTime "…"^^xsd:dateTime .
    graphs                      <g/…> mf:tenant "…" ; mf:subject "…" .

The agent and the run, if there are any, are what a whole tenant is asked for. What else is to be said of an assertion (names as
they were said, types, confidence, evidence, scope, times, command) stands in its record, one literal: each quad costs six index
entries, and a reification in thirteen quads makes a rebuild four times as slow. graph_export.py spells a record out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

import msgspec
from pyoxigraph import Literal, NamedNode

from memfold.projections.graph_fold import Assertion, GraphChange
from memfold.projections.graph_terms import (
    DESCRIPTIONS,
    PROV,
    RDF,
    VOCABULARY,
    XSD,
    SubjectGraph,
    assertion_iri,
    entity_iri,
    event_iri,
    graph_iri,
    named,
    prov_iri,
    relationship_iri,
)

Quad = tuple[str, str]
"""The graph, and "subject predicate object", both as TriG and SPARQL write them."""

REIFIES = named(RDF + "reifies")
DERIVED = named(PROV + "wasDerivedFrom")
INVALIDATED = named(PROV + "invalidatedAtTime")
HOLDS = named(VOCABULARY + "holds")
HELD = named(VOCABULARY + "held")
TENANT = named(VOCABULARY + "tenant")
OF_SUBJECT = named(VOCABULARY + "subject")
AGENT = named(VOCABULARY + "agent")
RUN = named(VOCABULARY + "run")
GRAPHS = named(DESCRIPTIONS)

_JSON = named(RDF + "JSON")
_DATE_TIME = NamedNode(XSD + "dateTime")
_encode = msgspec.json.Encoder().encode
read_record = msgspec.json.Decoder(Assertion).decode


def instant(moment: datetime) -> Literal:
    return Literal(moment.isoformat(), datatype=_DATE_TIME)


def record_of(assertion: Assertion) -> str:
    """JSON escapes control characters itself, so what is left for a literal is what quotes and escapes (N-Triples 1.2, section 4)."""
    text = _encode(assertion).decode().replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"^^{_JSON}'


def changed_quads(change: GraphChange, new: bool) -> tuple[list[Quad], list[Quad]]:
    """The quads that a change adds and those that it removes; no quad is in both. A `new` graph is described too."""
    added: list[Quad] = []
    graph, prov = named(graph_iri(change.graph)), named(prov_iri(change.graph))
    for assertion in change.asserted.values():
        name = named(assertion_iri(assertion.assertion_id))
        triple = _triple(change.graph, assertion)
        added += _reified(prov, name, triple, assertion)
        added.append((prov, f"{name} {HOLDS} {record_of(assertion)}"))
        added.append((graph, triple))
    for assertion, until, stored, valid_to in change.ended.values():
        name, record = named(assertion_iri(assertion.assertion_id)), record_of(assertion.over(valid_to))
        if not stored:
            added += _reified(prov, name, _triple(change.graph, assertion), assertion)
        added.append((prov, f"{name} {HELD} {record}"))
        added.append((prov, f"{name} {INVALIDATED} {instant(until)}"))
    if new and added:
        added.append((GRAPHS, f"{graph} {TENANT} {Literal(change.graph.tenant)}"))
        added.append((GRAPHS, f"{graph} {OF_SUBJECT} {Literal(change.graph.subject)}"))
    held = [end.assertion for end in change.ended.values() if end.stored]
    return added, gone_quads(change.graph, held, change.lost())


def gone_quads(of: SubjectGraph, ended: Iterable[Assertion], lost: Iterable[Assertion]) -> list[Quad]:
    """What goes when assertions end, and when the triples of some no longer hold."""
    graph, prov = named(graph_iri(of)), named(prov_iri(of))
    records = ((one.assertion_id, record_of(one.over(None))) for one in ended)
    gone = [(prov, f"{named(assertion_iri(name))} {HOLDS} {record}") for name, record in records]
    return gone + [(graph, _triple(of, one)) for one in lost]


def _triple(graph: SubjectGraph, assertion: Assertion) -> str:
    source, relationship, target = assertion.triple()
    return f"{_entity(graph, source)} {_relationship(relationship)} {_entity(graph, target)}"


@lru_cache(maxsize=50_000)
def _entity(graph: SubjectGraph, entity: str) -> str:
    return named(entity_iri(graph, entity))


@lru_cache(maxsize=10_000)
def _relationship(name: str) -> str:
    return named(relationship_iri(name))


def _reified(prov: str, name: str, triple: str, assertion: Assertion) -> list[Quad]:
    quads = [
        (prov, f"{name} {REIFIES} <<( {triple} )>>"),
        (prov, f"{name} {DERIVED} {named(event_iri(assertion.partition, assertion.offset))}"),
    ]
    if assertion.scope.agent_id is not None:
        quads.append((prov, f"{name} {AGENT} {Literal(assertion.scope.agent_id)}"))
    if assertion.scope.run_id is not None:
        quads.append((prov, f"{name} {RUN} {Literal(assertion.scope.run_id)}"))
    return quads


def as_trig(quads: Iterable[Quad]) -> str:
    """The quads in TriG, which SPARQL's INSERT DATA and DELETE DATA read as well."""
    graphs: dict[str, list[str]] = {}
    for graph, triple in quads:
        graphs.setdefault(graph, []).append(triple)
    return "".join(
        "GRAPH " + graph + " {\n" + " .\n".join(triples) + " }\n" for graph, triples in graphs.items()
    )


def as_update(removed: Iterable[Quad], added: Iterable[Quad]) -> str:
    """One SPARQL update that does both."""
    parts = [("DELETE DATA", as_trig(removed)), ("INSERT DATA", as_trig(added))]
    return " ;\n".join(f"{verb} {{\n{body}}}" for verb, body in parts if body)
