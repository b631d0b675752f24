from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyoxigraph import NamedNode

from memfold.projections.graph_terms import (
    BASE,
    SubjectGraph,
    assertion_iri,
    command_iri,
    entity_iri,
    graph_iri,
    memory_iri,
    named,
    prov_iri,
    relationship_iri,
    segment,
    tenant_prefix,
    type_iri,
)

ANY = st.text(st.characters(exclude_categories=["Cs"]))
HOSTILE = [
    "",
    "..",
    "a/b",
    "a>b",
    '"',
    "nul\0",
    "sha256:00",
    "\ufffe",
    "\U0010ffff",
    "x" * 10_000,
    "%2F",
    "é",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_breaks_out_of_an_iri(text: str) -> None:
    graph = SubjectGraph(text, text)
    iris = [graph_iri(graph), prov_iri(graph), entity_iri(graph, text)]
    iris += [make(text) for make in (assertion_iri, memory_iri, command_iri, relationship_iri, type_iri)]
    for iri in iris:
        assert iri.isascii()
        assert iri.startswith(BASE)
        assert len(iri) < 700
        assert named(iri) == f"<{NamedNode(iri).value}>" == f"<{iri}>"


@given(ANY, ANY)
@example("a", "%61")
@example("x" * 300, "x" * 301)
def test_different_texts_are_different_segments(one: str, other: str) -> None:
    assert (segment(one) == segment(other)) == (one == other)
    assert "/" not in segment(one)


@given(ANY, ANY, ANY, ANY)
@example("a/b", "c", "a", "b/c")
@example("a", "prov", "a/prov", "")
def test_no_two_subjects_share_a_graph(tenant: str, subject: str, other: str, another: str) -> None:
    one, two = SubjectGraph(tenant, subject), SubjectGraph(other, another)
    if one != two:
        assert not {graph_iri(one), prov_iri(one)} & {graph_iri(two), prov_iri(two)}
    assert graph_iri(two).startswith(tenant_prefix(tenant)) == (tenant == other)
