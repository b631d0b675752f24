"""One partition of a graph mirror: the graph fold once more, whose changes go to a SPARQL endpoint before they are committed here.

The mirror's book, a graph shard of its own in the home, has the position and knows what holds; see mirror_shard.py, which does the
same for vectors. The endpoint gets what `memfold export` writes: the triples that hold in `g/<subject>` with the names of their
entities, and every assertion spelled out as rdf:Statement and PROV-O in `g/<subject>/prov`, in RDF 1.1 that every store reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import cast

import pyoxigraph as ox

from memfold.projections.graph import GraphShard
from memfold.projections.graph_export import every_quad, holding, provenance
from memfold.projections.graph_fold import GraphChange
from memfold.projections.graph_quads import Quad
from memfold.projections.graph_terms import SubjectGraph, graph_iri, named, prov_iri
from memfold.stores.sparql import SparqlEndpoint


class GraphMirrorShard(GraphShard):
    """See `Shard`. `endpoint` is shared by the partitions of a mirror: their subjects, and so their graphs, are different."""

    def __init__(self, path: Path, partition: int, endpoint: SparqlEndpoint) -> None:
        super().__init__(path, partition)
        self._endpoint = endpoint

    def _before_commit(self, changes: Sequence[GraphChange]) -> None:
        """Raises StoreUnavailable, StoreRefused; then nothing is committed."""
        for change in changes:
            self._endpoint.change(*_delta(change))

    def digest(self) -> str:
        """The graph shard's of the same log, if the endpoint holds just that; else one that no shard has."""
        differing, digest = self.differing(), super().digest()
        return sha256("\n".join([digest, *differing]).encode()).hexdigest() if differing else digest

    def differing(self) -> list[str]:
        """The named graphs whose triples at the endpoint are not those of the book."""
        found: list[str] = []
        for graph in self.all_graphs():
            expected = self._expected(graph)
            for iri in (graph_iri(graph), prov_iri(graph)):
                if self._endpoint.graph(iri) != expected.get(iri, set()):
                    found.append(iri)
        return found

    def _expected(self, graph: SubjectGraph) -> dict[str, set[str]]:
        """The triples of the subject's two graphs, as the book has them."""
        return _by_graph(every_quad(graph, self.active(graph).values(), self.past(graph).before(None)))

    def drop(self) -> None:
        """Remove this partition's graphs from the endpoint."""
        for graph in self.all_graphs():
            self._endpoint.drop([graph_iri(graph), prov_iri(graph)])


def _delta(change: GraphChange) -> tuple[list[Quad], list[Quad]]:
    """What goes and what comes. What ended in the batch goes although the book never held it: an earlier try at a part of the
    batch may have put it there.
    """
    ended = [end.assertion for end in change.ended.values()]
    after = set(holding(change.graph, change.after().values())) if ended else set()
    gone = set(holding(change.graph, ended)) - after
    come = set(holding(change.graph, change.asserted.values()))
    for assertion in change.asserted.values():
        come |= set(provenance(change.graph, assertion))
    for assertion, until, _, valid_to in change.ended.values():
        come |= set(provenance(change.graph, assertion.over(valid_to), until))
    return _quads(gone), _quads(come)


def _quads(quads: Iterable[ox.Quad]) -> list[Quad]:
    return sorted((named(_name(quad)), str(quad.triple)) for quad in quads)


def _by_graph(quads: Iterable[ox.Quad]) -> dict[str, set[str]]:
    held = ox.Store()
    held.extend(quads)
    found: dict[str, set[str]] = {}
    for quad in held:
        found.setdefault(_name(quad), set()).add(str(quad.triple))
    return found


def _name(quad: ox.Quad) -> str:
    """The IRI of its graph: the mirror has no other graphs than named ones."""
    return cast(ox.NamedNode, quad.graph_name).value
