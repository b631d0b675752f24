"""What is read back from the graph: assertions, the graphs of a tenant, and the digest of it all.

Queries are constants; what varies is bound (`substitutions`, `default_graph`), never put into the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import cast

import pyoxigraph as ox

from memfold.projections.graph_fold import Assertion
from memfold.projections.graph_quads import (
    AGENT,
    DERIVED,
    GRAPHS,
    HELD,
    HOLDS,
    INVALIDATED,
    OF_SUBJECT,
    REIFIES,
    RUN,
    TENANT,
    read_record,
)
from memfold.projections.graph_terms import RDF, SubjectGraph, assertion_iri, prov_iri, tenant_prefix
from memfold.schemas.records import Scope

_ACTIVE = f"SELECT ?record {{ ?assertion {HOLDS} ?record }}"
_ENDED = f"SELECT ?record ?until {{ ?assertion {HELD} ?record ; {INVALIDATED} ?until }}"
_GRAPHS_OF = (
    f"SELECT ?subject ?tenant {{ GRAPH {GRAPHS} {{ ?graph {TENANT} ?tenant ; {OF_SUBJECT} ?subject }} }}"
)
_REIFIES = ox.NamedNode(RDF + "reifies")
_EVERYONES = (
    f"SELECT ?graph ?record ?id {{{{ GRAPH ?graph {{{{ ?assertion {{}} ?id ; {HOLDS} ?record }}}} }}}}"
)
_OF_AGENT, _OF_RUN = _EVERYONES.format(AGENT), _EVERYONES.format(RUN)

_CONTENT = (
    f"SELECT ?graph ?tenant ?subject {{ GRAPH {GRAPHS} {{ ?graph {TENANT} ?tenant ; {OF_SUBJECT} ?subject }} }}",
    f"SELECT ?graph ?s ?p ?o {{ GRAPH {GRAPHS} {{ ?graph {TENANT} ?tenant }} GRAPH ?graph {{ ?s ?p ?o }} }}",
    f"SELECT ?graph ?record {{ GRAPH ?graph {{ ?assertion {HOLDS} ?record }} }}",
    f"SELECT ?graph ?record ?until {{ GRAPH ?graph {{ ?assertion {HELD} ?record ; {INVALIDATED} ?until }} }}",
    *(
        f"SELECT (COUNT(*) AS ?quads) {{ GRAPH ?graph {{ ?assertion {predicate} ?value }} }}"
        for predicate in (REIFIES, DERIVED, AGENT, RUN)
    ),
)


def active_in(store: ox.Store, graph: SubjectGraph) -> dict[str, Assertion]:
    """The active assertions by id, in log order."""
    rows = _rows(store.query(_ACTIVE, default_graph=ox.NamedNode(prov_iri(graph))))
    found = [read_record(row[0].value) for row in rows]
    return {assertion.assertion_id: assertion for assertion in sorted(found, key=Assertion.place)}


def ended_in(store: ox.Store, graph: SubjectGraph) -> list[tuple[Assertion, datetime]]:
    """The assertions that have ended, in log order, each with when."""
    rows = _rows(store.query(_ENDED, default_graph=ox.NamedNode(prov_iri(graph))))
    found = [(read_record(row[0].value), datetime.fromisoformat(row[1].value)) for row in rows]
    return sorted(found, key=lambda ended: ended[0].place())


def known_in(store: ox.Store, graph: SubjectGraph, assertion_id: str) -> bool:
    name, prov = ox.NamedNode(assertion_iri(assertion_id)), ox.NamedNode(prov_iri(graph))
    found = store.quads_for_pattern(name, _REIFIES, None, prov)
    return next(found, None) is not None


def graphs_of(store: ox.Store, tenant: str) -> list[SubjectGraph]:
    rows = _rows(store.query(_GRAPHS_OF, substitutions={ox.Variable("tenant"): ox.Literal(tenant)}))
    return sorted(SubjectGraph(tenant, row[0].value) for row in rows)


def active_of(store: ox.Store, tenant: str, scope: Scope) -> list[Assertion]:
    """The active assertions of a whole tenant, without order; only of the scope's run or agent if it names one."""
    name = scope.run_id if scope.run_id is not None else scope.agent_id
    if name is None:
        return [found for graph in graphs_of(store, tenant) for found in active_in(store, graph).values()]
    query = _OF_AGENT if scope.run_id is None else _OF_RUN
    rows = _rows(store.query(query, substitutions={ox.Variable("id"): ox.Literal(name)}))
    prefix = tenant_prefix(tenant)
    return [read_record(record.value) for graph, record, _ in rows if graph.value.startswith(prefix)]


def content_digest(store: ox.Store) -> str:
    """SHA-256 over the sorted SHA-256s of the store's content, line by line: graphs, triples that hold, records.

    The quads that reify an assertion follow from its record and are only counted: reading each of them back would take five
    times as long. The position is left out.
    """
    lines: list[bytes] = []
    for kind, query in enumerate(_CONTENT):
        for row in _rows(store.query(query)):
            line = f"{kind} {' '.join(map(str, row))}"
            lines.append(sha256(line.encode()).digest())
    lines.sort()
    return sha256(b"".join(lines)).hexdigest()


def _rows(answer: ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples) -> Iterator[ox.QuerySolution]:
    """The solutions of a SELECT."""
    return iter(cast(ox.QuerySolutions, answer))
