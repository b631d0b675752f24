"""Every assertion of a relation out of events, by the graph projection's own fold over a store that holds nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from memfold.projections.graph_fold import Assertion, fold
from memfold.projections.graph_terms import SubjectGraph
from memfold.schemas.records import Event


class Asserted(Struct, frozen=True):
    """An assertion and its end: `ended_at` when the log learnt of it (None: it holds), `valid_to` when it stopped being true."""

    subject: str
    assertion: Assertion
    ended_at: datetime | None = None
    valid_to: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether the log said so at a moment."""
        return self.assertion.since <= moment and (self.ended_at is None or moment < self.ended_at)


class _Nothing:
    def active(self, graph: SubjectGraph) -> Mapping[str, Assertion]:
        return {}

    def known(self, graph: SubjectGraph, assertion_id: str) -> bool:
        return False

    def graphs(self, tenant: str) -> list[SubjectGraph]:
        return []


def relation_fold(events: Iterable[Event]) -> list[Asserted]:
    """The assertions that events of one partition made, in log order. `events` as for `version_fold`. Raises Unreadable."""
    found: list[Asserted] = []
    for change in fold(events, _Nothing()):
        subject = change.graph.subject
        found += [Asserted(subject, assertion) for assertion in change.asserted.values()]
        found += [
            Asserted(subject, end.assertion, max(end.until, end.assertion.since), end.valid_to)
            for end in change.ended.values()
        ]
    return sorted(found, key=lambda one: one.assertion.place())
