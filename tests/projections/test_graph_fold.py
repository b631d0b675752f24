"""Random histories against a fold that is too simple to be wrong, in random batches, by both ways to commit."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pyoxigraph as ox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memfold.memory.entities import entities_of
from memfold.memory.ports import Relation
from memfold.projections import graph_store
from memfold.projections.base import Position, fenced
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.projections.graph_reading import ended_in
from memfold.projections.graph_terms import SubjectGraph, graph_iri
from memfold.schemas.records import Event, RelationChange, Scope
from tests.strategies import OWNERS, batches, histories, randoms, scopes


@dataclass
class Said:
    """One assertion, as a person would note it down."""

    tenant: str
    subject: str
    scope: Scope
    change: RelationChange
    since: datetime
    until: datetime | None = None
    valid_to: datetime | None = None

    def relation(self) -> Relation:
        change = self.change
        return Relation(
            change.source,
            change.source_type,
            change.relationship,
            change.target,
            change.target_type,
            change.memory_id,
            change.assertion_id,
            change.confidence,
            self.since,
            *entities_of(change),
            change.valid_from,
        )


def noted(events: Iterable[Event]) -> list[Said]:
    said: list[Said] = []
    for event in events:
        tenant, subject = event.envelope.tenant, event.envelope.subject
        for clear in event.body.clears:
            for one in said:
                inside = one.subject == subject and clear.scope.covers(one.scope)
                if one.until is None and one.tenant == tenant and (clear.whole_tenant or inside):
                    one.until = event.recorded_at
        for change in event.body.relations:
            own = [one for one in said if (one.tenant, one.subject) == (tenant, subject)]
            known = [one for one in own if one.change.assertion_id == change.assertion_id]
            if change.op == "ASSERT" and not known:
                scope = next(o.scope for o in event.body.operations if o.memory_id == change.memory_id)
                said.append(Said(tenant, subject, scope, change, event.recorded_at))
            elif change.op == "RETRACT":
                for one in (one for one in known if one.until is None):
                    one.until, one.valid_to = event.recorded_at, change.valid_to
    return said


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(histories(max_events=40), randoms(), st.sampled_from([1, 25, 10**9]), scopes())
def test_the_graph_is_what_a_simple_fold_says(
    events: list[Event], random: Random, bulk: int, scope: Scope
) -> None:
    said = noted(fenced(events, Position())[0])
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(graph_store, "BULK", bulk)
        patch.setattr(graph_store, "REMOVED_AT_ONCE", 2)
        with closing(GraphShard(Path(folder), 0)) as shard:
            for batch in batches(events, random):
                shard.apply(*fenced(batch, shard.position()))
                if random.random() < 0.5:  # what is kept in memory follows, what is not is read
                    shard.active(SubjectGraph(OWNERS[0].tenant, OWNERS[0].subject))
            check(shard, said, scope)
        with closing(GraphShard(Path(folder), 0)) as shard:
            check(shard, said, scope)


def check(shard: GraphShard, said: list[Said], scope: Scope) -> None:
    index = OxigraphRelations({0: shard})
    for owner in OWNERS:
        mine = [one for one in said if (one.tenant, one.subject) == (owner.tenant, owner.subject)]
        active = [one for one in mine if one.until is None]
        for asked in (Scope(), scope):
            expected = [one.relation() for one in active if asked.covers(one.scope)]
            assert index.find(owner.tenant, owner.subject, asked) == expected
        everyones = [one for one in said if one.until is None and one.tenant == owner.tenant]
        expected = [one.relation() for one in everyones if scope.covers(one.scope)]
        assert index.find(owner.tenant, None, scope) == expected

        graph = SubjectGraph(owner.tenant, owner.subject)
        store = shard._store().triples
        quads = list(store.quads_for_pattern(None, None, None, ox.NamedNode(graph_iri(graph))))
        assert len(quads) == len({keys(one.change) for one in active})
        ended = [(a.assertion_id, until, a.valid_to) for a, until in ended_in(store, graph)]
        over = [one for one in mine if one.until is not None]
        assert ended == [(one.change.assertion_id, one.until, one.valid_to) for one in over]


def keys(change: RelationChange) -> tuple[str, str, str]:
    source, target = entities_of(change)
    return source, change.relationship, target
