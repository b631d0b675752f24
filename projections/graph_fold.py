"""What a batch of events does to assertions: which are new, and which end. It touches no store; it only asks what is held.

A relation in an event becomes an assertion; a triple holds while one assertion of it is active. An assertion ends by a RETRACT
or by a clear that covers it, never by an UPDATE or DELETE of its memory alone: the event lists the RETRACTs itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from memfold.memory.entities import entities_of
from memfold.memory.ports import Relation
from memfold.projections.graph_terms import SubjectGraph
from memfold.schemas.errors import Unreadable
from memfold.schemas.records import Clear, Event, RelationChange, Scope

Triple = tuple[str, str, str]


class Assertion(Struct, frozen=True, omit_defaults=True, gc=False):
    """One relation as it was said: the record that is kept of it, with where in the log it comes from."""

    assertion_id: str
    memory_id: str
    source: str
    relationship: str
    target: str
    scope: Scope
    since: datetime
    partition: int
    offset: int
    ordinal: int
    event_id: str
    command_id: str
    source_type: str = "THING"
    target_type: str = "THING"
    confidence: float = 1.0
    said_as: str = ""
    source_entity: str = ""
    target_entity: str = ""
    source_which: str = ""
    target_which: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def triple(self) -> Triple:
        """The ids of the entities, and what joins them."""
        return self.source_entity, self.relationship, self.target_entity

    def over(self, valid_to: datetime | None) -> Assertion:
        """The same, with when it stopped being true."""
        return replace(self, valid_to=valid_to)

    def place(self) -> tuple[int, int]:
        """Its order in the log of its partition."""
        return (self.offset, self.ordinal)

    def relation(self, until: datetime | None = None) -> Relation:
        return Relation(
            source=self.source,
            source_type=self.source_type,
            relationship=self.relationship,
            target=self.target,
            target_type=self.target_type,
            memory_id=self.memory_id,
            assertion_id=self.assertion_id,
            confidence=self.confidence,
            since=self.since,
            source_entity=self.source_entity,
            target_entity=self.target_entity,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            until=until,
        )


class Ended(NamedTuple):
    """An assertion that ended. `until` is when the log learnt it, `valid_to` when it stopped being true, if that was said;
    `stored` tells whether the store held it as active before the batch.
    """

    assertion: Assertion
    until: datetime
    stored: bool
    valid_to: datetime | None = None


class Held(Protocol):
    """What a fold asks of the store, as it was before the batch."""

    def active(self, graph: SubjectGraph) -> Mapping[str, Assertion]:
        """The active assertions by id, in log order."""
        ...

    def known(self, graph: SubjectGraph, assertion_id: str) -> bool:
        """Whether there ever was such an assertion."""
        ...

    def graphs(self, tenant: str) -> list[SubjectGraph]: ...


class GraphChange:
    """What a batch changes in the graph of one subject: assertions by id."""

    def __init__(self, graph: SubjectGraph, held: Held) -> None:
        self.graph = graph
        self.asserted: dict[str, Assertion] = {}
        self.ended: dict[str, Ended] = {}
        self._held = held
        self._before: Mapping[str, Assertion] | None = None

    def before(self) -> Mapping[str, Assertion]:
        """The active assertions before the batch, read when they are first needed: a batch that only asserts never does."""
        if self._before is None:
            self._before = self._held.active(self.graph)
        return self._before

    def add(self, assertion: Assertion) -> None:
        """An id that there was before, active or not, is ignored."""
        name = assertion.assertion_id
        if not (name in self.asserted or name in self.ended or self._held.known(self.graph, name)):
            self.asserted[name] = assertion

    def end(self, assertion_id: str, until: datetime, valid_to: datetime | None = None) -> Assertion | None:
        """The assertion that ends; an id that is unknown, or that has ended, is ignored."""
        if (new := self.asserted.pop(assertion_id, None)) is not None:
            self.ended[assertion_id] = Ended(new, until, False, valid_to)
            return new
        old = None if assertion_id in self.ended else self.before().get(assertion_id)
        if old is not None:
            self.ended[assertion_id] = Ended(old, until, True, valid_to)
        return old

    def clear(self, scope: Scope, until: datetime) -> None:
        covered = [name for name, assertion in self.after().items() if scope.covers(assertion.scope)]
        for name in covered:
            self.end(name, until)

    def after(self) -> dict[str, Assertion]:
        """The active assertions once the batch is in, in log order."""
        kept = {name: assertion for name, assertion in self.before().items() if name not in self.ended}
        return kept | self.asserted

    def lost(self) -> list[Assertion]:
        """Of each triple that no longer holds, one of the assertions that said so."""
        ended = {end.assertion.triple(): end.assertion for end in self.ended.values() if end.stored}
        if ended:
            for assertion in self.after().values():
                ended.pop(assertion.triple(), None)
        return list(ended.values())


def fold(events: Iterable[Event], held: Held) -> list[GraphChange]:
    """The changes of a batch, one for each graph that it touches. Raises Unreadable for a relation that cannot be kept."""
    changes: dict[SubjectGraph, GraphChange] = {}

    def change_of(graph: SubjectGraph) -> GraphChange:
        if graph not in changes:
            changes[graph] = GraphChange(graph, held)
        return changes[graph]

    for event in events:
        body = event.body
        if not (body.relations or body.clears):
            continue
        own = SubjectGraph(event.envelope.tenant, event.envelope.subject)
        for clear in body.clears:
            graphs = _tenants_graphs(own.tenant, changes, held) if clear.whole_tenant else [own]
            for graph in graphs:
                change_of(graph).clear(_scope_of(clear), event.recorded_at)
        scopes = {operation.memory_id: operation.scope for operation in body.operations}
        for ordinal, relation in enumerate(body.relations):
            if relation.op == "RETRACT":
                ended = change_of(own).end(relation.assertion_id, event.recorded_at, relation.valid_to)
                if ended is not None:
                    # What moves to another entity touches no memory: it keeps the scope of what it was.
                    scopes.setdefault(ended.memory_id, ended.scope)
            else:
                scope = scopes.get(relation.memory_id, Scope())
                change_of(own).add(_assertion(event, ordinal, relation, scope))
    return list(changes.values())


def _tenants_graphs(tenant: str, changes: Iterable[SubjectGraph], held: Held) -> set[SubjectGraph]:
    return {graph for graph in changes if graph.tenant == tenant} | set(held.graphs(tenant))


def _scope_of(clear: Clear) -> Scope:
    """`whole_tenant` means everything, whatever scope stands beside it."""
    return Scope() if clear.whole_tenant else clear.scope


def _assertion(event: Event, ordinal: int, relation: RelationChange, scope: Scope) -> Assertion:
    if relation.op != "ASSERT" or not math.isfinite(relation.confidence):
        raise Unreadable(
            f"relation {ordinal} of event {event.envelope.record_id} at offset {event.offset} has the operation "
            f"{relation.op!r} and the confidence {relation.confidence}; this version folds ASSERT and RETRACT, "
            "with a finite confidence"
        )
    source_entity, target_entity = entities_of(relation)
    return Assertion(
        assertion_id=relation.assertion_id,
        memory_id=relation.memory_id,
        source=relation.source,
        relationship=relation.relationship,
        target=relation.target,
        scope=scope,
        since=event.recorded_at,
        partition=event.partition,
        offset=event.offset,
        ordinal=ordinal,
        event_id=event.envelope.record_id,
        command_id=event.envelope.command_id,
        source_type=relation.source_type,
        target_type=relation.target_type,
        confidence=relation.confidence,
        said_as=relation.said_as,
        source_entity=source_entity,
        target_entity=target_entity,
        source_which=relation.source_which,
        target_which=relation.target_which,
        valid_from=relation.valid_from,
    )
