"""Answers from the graph shards that are open in this process; who asks from another process asks this one over HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache

from memfold.memory.ports import About, Relation
from memfold.projections.graph import GraphShard
from memfold.projections.graph_fold import Assertion
from memfold.projections.graph_terms import SubjectGraph
from memfold.schemas.records import Scope


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

    def _assertions(
        self, tenant: str, subject: str | None, scope: Scope, as_of: datetime | None
    ) -> Iterator[Assertion]:
        for shard in list(self._shards.values()):
            if shard is None or shard.closed:
                continue
            if subject is None:
                active = shard.active_of(tenant, scope)
                past = None if as_of is None else shard.past_of(tenant, scope, after=as_of)
            else:
                graph = SubjectGraph(tenant, subject)
                active = [*shard.active(graph).values()]
                past = None if as_of is None else shard.past(graph)
            if as_of is None or past is None:
                yield from active
            else:
                # What ended between the two readings is in both.
                yield from {
                    one.assertion_id: one for one in [*_since(active, as_of), *past.at(as_of)]
                }.values()


def _since(active: Iterable[Assertion], moment: datetime) -> Iterator[Assertion]:
    return (assertion for assertion in active if assertion.since <= moment)


_WORDS = re.compile(r"\w+")


def _is_about(assertion: Assertion, memory_ids: frozenset[str], words: frozenset[str]) -> bool:
    if assertion.memory_id in memory_ids:
        return True
    return not (words.isdisjoint(_words(assertion.source)) and words.isdisjoint(_words(assertion.target)))


@lru_cache(maxsize=50_000)
def _words(name: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(name.casefold()))
