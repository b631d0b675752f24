"""The active assertions of the graphs that were asked for last, kept decoded.

The process that writes a shard is the one that answers for it, so what it keeps can follow its own commits and is never stale.
Reading a thousand assertions out of the store takes some 10 ms, from here 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from memfold.projections.graph_fold import Assertion, GraphChange
from memfold.projections.graph_terms import SubjectGraph

KEPT = 50_000
"""Assertions (about 1 KB each) that a shard keeps; a single larger graph is kept all the same."""


class ActiveAssertions:
    """Least recently used first out. The mappings that it hands out are never changed afterwards."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._count = 0
        self._graphs: OrderedDict[SubjectGraph, Mapping[str, Assertion]] = OrderedDict()
        self._lock = Lock()

    def get(self, graph: SubjectGraph) -> Mapping[str, Assertion] | None:
        with self._lock:
            if graph in self._graphs:
                self._graphs.move_to_end(graph)
            return self._graphs.get(graph)

    def put(self, graph: SubjectGraph, active: Mapping[str, Assertion]) -> None:
        with self._lock:
            self._count += len(active) + 1 - self._drop(graph)
            self._graphs[graph] = active
            while self._count > self._kept and len(self._graphs) > 1:
                self._count -= self._drop(next(iter(self._graphs)))

    def follow(self, change: GraphChange) -> None:
        """Take in a change that is committed."""
        if self.get(change.graph) is not None:
            self.put(change.graph, change.after())

    def forget(self) -> None:
        with self._lock:
            self._graphs.clear()
            self._count = 0

    def _drop(self, graph: SubjectGraph) -> int:
        """How many it counted for; an empty graph counts for one."""
        active = self._graphs.pop(graph, None)
        return 0 if active is None else len(active) + 1
