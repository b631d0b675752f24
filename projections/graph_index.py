"""Answers from the graph shards that are open in this process; who asks from another process asks this one over HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache

from memfold.memory.errors import ViewUnreachable
from memfold.memory.ports import About, Around, Relation, Walk
from memfold.memory.walking import around
from memfold.projections.graph import GraphShard
from memfold.projections.graph_export import serialized, spelled_out
from memfold.projections.graph_fold import Assertion
from memfold.projections.graph_past import Past
from memfold.projections.graph_terms import SubjectGraph
from memfold.schemas.records import Scope

Told = tuple[Assertion, datetime | None]
"""An assertion, and when the log learnt that it had ended."""


class OxigraphRelations:
    """The relations in the shards of a mapping that may change while it is read: partitions come and go."""

    def __init__(self, shards: Mapping[int, GraphShard | None]) -> None:
        self._shards = shards

    async def relations(
        self,
        tenant: str,
        subject: str | None,
        scope: Scope,
        relationship: str | None = None,
        about: About | None = None,
        limit: int = 1000,
        as_of: datetime | None = None,
    ) -> list[Relation]:
        """Relations that hold now inside the scope, or held at the moment `as_of`, oldest first; at most `limit`.

        Those of closed shards are left out.
        """
        return await asyncio.to_thread(self.find, tenant, subject, scope, relationship, about, limit, as_of)

    def find(
        self,
        tenant: str,
        subject: str | None,
        scope: Scope,
        relationship: str | None = None,
        about: About | None = None,
        limit: int = 1000,
        as_of: datetime | None = None,
    ) -> list[Relation]:
        """As `relations`, in the calling thread."""
        wanted = None if about is None else (frozenset(about.memory_ids), frozenset(about.words))
        found = [
            assertion
            for assertion in self._assertions(tenant, subject, scope, as_of)
            if (relationship is None or assertion.relationship == relationship)
            and (wanted is None or _is_about(assertion, *wanted))
            and scope.covers(assertion.scope)
        ]
        found.sort(key=lambda assertion: (assertion.since, assertion.partition, *assertion.place()))
        return [assertion.relation() for assertion in found[:limit]]

    async def around(self, tenant: str, subject: str | None, scope: Scope, walk: Walk) -> Around:
        """Relations inside the scope, nearest first and oldest first among those. Those of closed shards are left out."""
        return await asyncio.to_thread(self.walk, tenant, subject, scope, walk)

    def walk(self, tenant: str, subject: str | None, scope: Scope, walk: Walk) -> Around:
        """As `around`, in the calling thread."""
        return around(self.known(tenant, subject, scope, walk), walk)

    def known(self, tenant: str, subject: str | None, scope: Scope, walk: Walk) -> list[Relation]:
        """What a walk goes through, oldest first: relations in scope that held at its moment, and where it wants them ended ones."""
        ended = walk.ended or walk.valid_at is not None
        told = [
            (assertion, until)
            for assertion, until in self._told(tenant, subject, scope, walk.as_of, ended)
            if scope.covers(assertion.scope)
        ]
        told.sort(key=lambda one: (one[0].since, one[0].partition, *one[0].place()))
        return [assertion.relation(until) for assertion, until in told]

    async def export(self, tenant: str, subject: str, scope: Scope, format: str) -> str:
        """As GraphExport. Raises InvalidInput for a format that there is not."""
        return await asyncio.to_thread(self.serialize, tenant, subject, scope, format)

    def serialize(self, tenant: str, subject: str, scope: Scope, format: str) -> str:
        """As `export`, in the calling thread."""
        told = [
            one for one in self._told(tenant, subject, scope, None, ended=True) if scope.covers(one[0].scope)
        ]
        active = [assertion for assertion, until in told if until is None]
        ended = [(assertion, until) for assertion, until in told if until is not None]
        return serialized(spelled_out(SubjectGraph(tenant, subject), active, ended), format)

    def _assertions(
        self, tenant: str, subject: str | None, scope: Scope, as_of: datetime | None
    ) -> Iterator[Assertion]:
        return (assertion for assertion, _ in self._told(tenant, subject, scope, as_of, ended=False))

    def _told(
        self, tenant: str, subject: str | None, scope: Scope, as_of: datetime | None, ended: bool
    ) -> Iterator[Told]:
        """What held at a moment, or holds now, and what had `ended` by then; of each shard, none twice."""
        graph = None if subject is None else SubjectGraph(tenant, subject)
        for partition in list(self._shards):
            while (shard := self._shards.get(partition)) is not None and not shard.closed:
                try:
                    told = list(_told_by(shard, tenant, graph, scope, as_of, ended))
                except ViewUnreachable:
                    # Closed while it was read: another generation has taken its place, unless the partition went away.
                    if self._shards.get(partition) is shard:
                        raise
                    continue
                yield from told
                break


def _told_by(
    shard: GraphShard,
    tenant: str,
    graph: SubjectGraph | None,
    scope: Scope,
    as_of: datetime | None,
    ended: bool,
) -> Iterator[Told]:
    active = shard.active_of(tenant, scope) if graph is None else shard.active(graph).values()
    if as_of is None and not ended:
        yield from ((assertion, None) for assertion in active)
        return
    after = None if ended else as_of
    past = shard.past_of(tenant, scope, after) if graph is None else shard.past(graph)
    yield from _then(active, past, as_of, ended)


def _then(active: Iterable[Assertion], past: Past, as_of: datetime | None, ended: bool) -> Iterator[Told]:
    # What ended between reading the active ones and the past is in both: by id it counts once, as ended.
    over = past.before(as_of) if ended else []
    held = [] if as_of is None else past.at(as_of)
    named = {one.assertion_id for one, _ in over} | {one.assertion_id for one in held}
    yield from over
    yield from ((one, None) for one in held)
    for one in active:
        if (as_of is None or one.since <= as_of) and one.assertion_id not in named:
            yield one, None


_WORDS = re.compile(r"\w+")


def _is_about(assertion: Assertion, memory_ids: frozenset[str], words: frozenset[str]) -> bool:
    if assertion.memory_id in memory_ids:
        return True
    return not (words.isdisjoint(_words(assertion.source)) and words.isdisjoint(_words(assertion.target)))


@lru_cache(maxsize=50_000)
def _words(name: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(name.casefold()))
