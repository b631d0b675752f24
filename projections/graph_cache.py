"""The assertions of the graphs that were asked for last, kept decoded: the active ones, and those that have ended.

The process that writes a shard is the one that answers for it, so what it keeps can follow its own commits and is never stale.
Reading a thousand assertions out of the store takes some 10 ms, from here 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sized
from threading import Lock
from typing import Generic, TypeVar

from memfold.projections.graph_fold import Assertion, GraphChange
from memfold.projections.graph_past import Past
from memfold.projections.graph_terms import SubjectGraph

Content = TypeVar("Content", bound=Sized)

KEPT = 50_000
"""Assertions (about 1 KB each) that a shard keeps; a single larger graph is kept all the same."""


class RecentGraphs(Generic[Content]):
    """Least recently used first out. What it hands out is never changed afterwards."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._count = 0
        self._graphs: OrderedDict[SubjectGraph, Content] = OrderedDict()
        self._lock = Lock()

    def get(self, graph: SubjectGraph) -> Content | None:
        with self._lock:
            if graph in self._graphs:
                self._graphs.move_to_end(graph)
            return self._graphs.get(graph)

    def put(self, graph: SubjectGraph, content: Content) -> None:
        with self._lock:
            self._count += len(content) + 1 - self._drop(graph)
            self._graphs[graph] = content
            while self._count > self._kept and len(self._graphs) > 1:
                self._count -= self._drop(next(iter(self._graphs)))

    def forget(self) -> None:
        with self._lock:
            self._graphs.clear()
            self._count = 0

    def _drop(self, graph: SubjectGraph) -> int:
        """How many it counted for; an empty graph counts for one."""
        content = self._graphs.pop(graph, None)
        return 0 if content is None else len(content) + 1


class ActiveAssertions(RecentGraphs[Mapping[str, Assertion]]):
    """The active assertions by id."""

    def follow(self, change: GraphChange) -> None:
        """Take in a change that is committed."""
        if self.get(change.graph) is not None:
            self.put(change.graph, change.after())


class PastAssertions(RecentGraphs[Past]):
    """The assertions that have ended."""

    def follow(self, change: GraphChange) -> None:
        """Take in a change that is committed."""
        past = self.get(change.graph)
        if past is not None and change.ended:
            ended = [(end.assertion.over(end.valid_to), end.until) for end in change.ended.values()]
            self.put(change.graph, past.also(ended))
