"""What is read back from the graph: assertions, the graphs of a tenant, and the digest of it all.

Queries are constants; what varies is bound (`substitutions`, `default_graph`), never put into the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
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
    Quad,
    gone_quads,
    instant,
    read_record,
)
from memfold.projections.graph_terms import (
    DESCRIPTIONS,
    RDF,
    VOCABULARY,
    SubjectGraph,
    assertion_iri,
    graph_iri,
    prov_iri,
    tenant_prefix,
)
from memfold.schemas.records import Scope

_ACTIVE = f"SELECT ?record {{ ?assertion {HOLDS} ?record }}"
_ENDED = f"SELECT ?record ?until {{ ?assertion {HELD} ?record ; {INVALIDATED} ?until }}"
_GRAPHS_OF = (
    f"SELECT ?subject ?tenant {{ GRAPH {GRAPHS} {{ ?graph {TENANT} ?tenant ; {OF_SUBJECT} ?subject }} }}"
)
_REIFIES = ox.NamedNode(RDF + "reifies")
_TENANT, _DESCRIPTIONS = ox.NamedNode(VOCABULARY + "tenant"), ox.NamedNode(DESCRIPTIONS)
_EVERYONES = (
    f"SELECT ?graph ?record ?id {{{{ GRAPH ?graph {{{{ ?assertion {{}} ?id ; {HOLDS} ?record }}}} }}}}"
)
_OF_AGENT, _OF_RUN = _EVERYONES.format(AGENT), _EVERYONES.format(RUN)
_EVERYONES_ENDED = (
    f"SELECT ?graph ?record ?until ?id ?after {{{{ GRAPH ?graph {{{{ ?assertion {{}} ?id ; {HELD} ?record ; "
    f"{INVALIDATED} ?until }}}} FILTER(?until > ?after) }}}}"
)
_ENDED_OF_AGENT, _ENDED_OF_RUN = _EVERYONES_ENDED.format(AGENT), _EVERYONES_ENDED.format(RUN)
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)

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
    rows = _rows(store.query(_ACTIVE, default_graph=_prov(graph)))
    found = [read_record(row[0].value) for row in rows]
    return {assertion.assertion_id: assertion for assertion in sorted(found, key=Assertion.place)}


def ended_in(store: ox.Store, graph: SubjectGraph) -> list[tuple[Assertion, datetime]]:
    """The assertions that have ended, in log order, each with when."""
    rows = _rows(store.query(_ENDED, default_graph=_prov(graph)))
    found = [(read_record(row[0].value), datetime.fromisoformat(row[1].value)) for row in rows]
    return sorted(found, key=lambda ended: ended[0].place())


def known_in(store: ox.Store, graph: SubjectGraph, assertion_id: str) -> bool:
    name = ox.NamedNode(assertion_iri(assertion_id))
    return next(store.quads_for_pattern(name, _REIFIES, None, _prov(graph)), None) is not None


def described_in(store: ox.Store, graph: SubjectGraph) -> bool:
    """Whether the subject has a graph here already."""
    found = store.quads_for_pattern(ox.NamedNode(graph_iri(graph)), _TENANT, None, _DESCRIPTIONS)
    return next(found, None) is not None


@lru_cache(maxsize=10_000)
def _prov(graph: SubjectGraph) -> ox.NamedNode:
    return ox.NamedNode(prov_iri(graph))


def graphs_of(store: ox.Store, tenant: str | None) -> list[SubjectGraph]:
    """The subjects of a tenant that have a graph, or of all tenants."""
    if tenant is None:
        answer = store.query(_GRAPHS_OF)
    else:
        answer = store.query(_GRAPHS_OF, substitutions={ox.Variable("tenant"): ox.Literal(tenant)})
    return sorted(SubjectGraph(row[1].value, row[0].value) for row in _rows(answer))


def left_behind(store: ox.Store) -> Iterator[Quad]:
    """What bulk loads that died left in place: that an ended assertion holds, and triples that only such ones say.

    Some of it may be gone already; removing it again does no harm.
    """
    for graph in graphs_of(store, None):
        ended = {assertion.assertion_id: assertion for assertion, _ in ended_in(store, graph)}
        active = [one for name, one in active_in(store, graph).items() if name not in ended]
        hold = {assertion.triple() for assertion in active}
        lost = [assertion for assertion in ended.values() if assertion.triple() not in hold]
        yield from gone_quads(graph, ended.values(), lost)


def active_of(store: ox.Store, tenant: str, scope: Scope) -> list[Assertion]:
    """The active assertions of a whole tenant, without order; only of the scope's run or agent if it names one."""
    name = scope.run_id if scope.run_id is not None else scope.agent_id
    if name is None:
        return [found for graph in graphs_of(store, tenant) for found in active_in(store, graph).values()]
    query = _OF_AGENT if scope.run_id is None else _OF_RUN
    rows = _rows(store.query(query, substitutions={ox.Variable("id"): ox.Literal(name)}))
    prefix = tenant_prefix(tenant)
    return [read_record(record.value) for graph, record, _ in rows if graph.value.startswith(prefix)]


def ended_of(
    store: ox.Store, tenant: str, scope: Scope, after: datetime | None
) -> list[tuple[Assertion, datetime]]:
    """As `active_of`, of assertions that have ended, each with when; with `after`, only those that ended later."""
    name = scope.run_id if scope.run_id is not None else scope.agent_id
    if name is None:
        found = [ended for graph in graphs_of(store, tenant) for ended in ended_in(store, graph)]
        return found if after is None else [ended for ended in found if ended[1] > after]
    query = _ENDED_OF_AGENT if scope.run_id is None else _ENDED_OF_RUN
    bound: dict[ox.Variable, ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple] = {
        ox.Variable("id"): ox.Literal(name),
        ox.Variable("after"): instant(after or _BEGINNING),
    }
    rows = _rows(store.query(query, substitutions=bound))
    prefix = tenant_prefix(tenant)
    return [
        (read_record(row[1].value), datetime.fromisoformat(row[2].value))
        for row in rows
        if row[0].value.startswith(prefix)
    ]


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
