"""The graph projection: one partition of the events as RDF triples with their provenance.

graph_terms.py says what things are called, graph_quads.py what is stored, graph_fold.py what an event changes, graph_store.py
how a commit is one step, graph_reading.py how it is read back, graph_export.py how it leaves as RDF.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from threading import RLock
from typing import TypeVar

import pyoxigraph as ox
from rdflib import Dataset

from memfold.memory.errors import ViewUnreachable
from memfold.projections.base import Position
from memfold.projections.graph_cache import ActiveAssertions, PastAssertions
from memfold.projections.graph_export import serialized, spelled_out
from memfold.projections.graph_fold import Assertion, GraphChange, fold
from memfold.projections.graph_past import Past
from memfold.projections.graph_quads import Quad, changed_quads
from memfold.projections.graph_reading import (
    active_in,
    active_of,
    content_digest,
    described_in,
    ended_in,
    ended_of,
    graphs_of,
    known_in,
)
from memfold.projections.graph_store import GraphStore
from memfold.projections.graph_terms import SubjectGraph
from memfold.schemas.records import Event, Scope

T = TypeVar("T")

MOST_REMEMBERED = 5_000_000
"""Assertions, some 50 bytes each."""


class GraphShard:
    """One partition of the graph in the folder `path`, open for writing, or `read_only`. Raises ShardLocked, ShardDamaged.

    Any thread may call it. Queries of subjects that were asked for before do not wait for a commit.
    """

    def __init__(self, path: Path, partition: int, read_only: bool = False) -> None:
        self.partition, self.path = partition, path
        self._using = RLock()
        self._active = ActiveAssertions()
        self._past = PastAssertions()
        self._open: GraphStore | None = GraphStore(path, read_only)
        # As in a rebuild: of a store that was empty here, whatever is in it is known without looking for each.
        self._asserted: set[int] | None = set() if self._open.position == Position() else None

    @property
    def closed(self) -> bool:
        return self._open is None

    def position(self) -> Position:
        return self._store().position

    def apply(self, events: Sequence[Event], position: Position) -> None:
        """Fold events that have passed the fence. Raises Unreadable: nothing was applied. Raises ShardDamaged or OSError (no
        space): the shard is closed, and has applied all or nothing when it is opened again.
        """
        with self._using, self._store().reading():
            changes = fold(events, self)
            self._before_commit(changes)
            added: list[Quad] = []
            removed: list[Quad] = []
            for change in changes:
                new = not described_in(self._store().triples, change.graph)
                more, less = changed_quads(change, new)
                added += more
                removed += less
            self._commit(added, removed, position)
            for change in changes:
                self._active.follow(change)
                self._past.follow(change)
                self._remember(change)

    def _before_commit(self, changes: Sequence[GraphChange]) -> None:
        """For a shard whose triples go elsewhere as well; what it raises, nothing is committed."""

    def _commit(self, added: list[Quad], removed: list[Quad], position: Position) -> None:
        store = self._store()
        try:
            store.commit(added, removed, position)
        except BaseException:
            # How far it came is known only on disk: folding again on top of half a commit would end what the same batch asserts.
            store.abandon()
            self._open = None
            self._forget()
            raise

    def keep_up(self) -> None:
        """Oxigraph puts its files in order by itself."""

    def active(self, graph: SubjectGraph) -> Mapping[str, Assertion]:
        """The active assertions of a subject by id, in log order; empty for a subject that is not here."""
        found = self._active.get(graph)
        if found is None:
            with self._using, self._store().reading():
                found = active_in(self._store().triples, graph)
                self._active.put(graph, found)
        return found

    def active_of(self, tenant: str, scope: Scope) -> list[Assertion]:
        """The active assertions of a whole tenant in this partition that the scope may cover, without order."""
        with self._using, self._store().reading():
            return active_of(self._store().triples, tenant, scope)

    def past(self, graph: SubjectGraph) -> Past:
        """The assertions of a subject that have ended."""
        found = self._past.get(graph)
        if found is None:
            with self._using, self._store().reading():
                found = Past(ended_in(self._store().triples, graph))
                self._past.put(graph, found)
        return found

    def past_of(self, tenant: str, scope: Scope, after: datetime | None = None) -> Past:
        """The assertions of a whole tenant in this partition that the scope may cover and that have ended, or ended after a moment."""
        with self._using, self._store().reading():
            return Past(ended_of(self._store().triples, tenant, scope, after))

    def known(self, graph: SubjectGraph, assertion_id: str) -> bool:
        """Whether there ever was such an assertion. Only a fold asks, for each relation: it has the lock."""
        if self._asserted is not None and hash((graph.subject, assertion_id)) not in self._asserted:
            return False
        return known_in(self._store().triples, graph, assertion_id)

    def _remember(self, change: GraphChange) -> None:
        """Hashes only: a false hit costs a look into the store. Above MOST_REMEMBERED each is looked for again."""
        if self._asserted is not None:
            subject = change.graph.subject
            self._asserted.update(hash((subject, name)) for name in chain(change.asserted, change.ended))
            if len(self._asserted) > MOST_REMEMBERED:
                self._asserted = None

    def graphs(self, tenant: str) -> list[SubjectGraph]:
        """The subjects of a tenant that have a graph in this partition."""
        with self._using, self._store().reading():
            return graphs_of(self._store().triples, tenant)

    def all_graphs(self) -> list[SubjectGraph]:
        """The subjects of all tenants that have a graph in this partition."""
        with self._using, self._store().reading():
            return graphs_of(self._store().triples, None)

    def copy(self, to: Path) -> None:
        """Make the folder `to` a shard like this one, as it stands between two commits. Raises OSError where it exists."""
        with self._using, self._store().reading():
            self._store().copy(to)

    def standing_still(self, look: Callable[[ox.Store, Position], T]) -> T:
        """What `look` sees in the triples at the position that they belong to; a commit waits for it.

        What it returns must not keep the triples: Oxigraph holds a store's lock for as long as anybody refers to it, so a closed shard
        could not be opened again, by this process either.
        """
        with self._using, self._store().reading():
            return look(self._store().triples, self._store().position)

    def digest(self) -> str:
        with self._using, self._store().reading():
            return content_digest(self._store().triples)

    def dataset(self, tenant: str, subject: str) -> Dataset:
        """The subject's graphs for rdflib: the triples that hold, and every assertion spelled out as PROV-O."""
        graph = SubjectGraph(tenant, subject)
        with self._using, self._store().reading():
            triples = self._store().triples
            return spelled_out(graph, self.active(graph).values(), ended_in(triples, graph))

    def export(self, tenant: str, subject: str, format: str) -> str:
        """`dataset` as turtle, trig, json-ld or n-quads (turtle knows no graphs: all are one). Raises InvalidInput."""
        return serialized(self.dataset(tenant, subject), format)

    def close(self) -> None:
        with self._using:
            if self._open is not None:
                self._forget()
                store, self._open = self._open, None
                store.close()

    def _forget(self) -> None:
        self._active.forget()
        self._past.forget()

    def _store(self) -> GraphStore:
        if self._open is None:
            raise ViewUnreachable(
                f"{self.path} is not open here any more: it was closed, or a commit failed; ask the worker that has "
                f"partition {self.partition} now, or open it again"
            )
        return self._open
