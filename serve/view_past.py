"""The graph that the workers serve, as it stood at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from memfold.memory.ports import About, Around, Relation, RelationGraph, Walk
from memfold.schemas.records import Scope


@dataclass(frozen=True, slots=True)
class RelationsAsOf:
    """A `RelationGraph` whose now is `moment`: what reads memories as of then reads relations as of then."""

    graph: RelationGraph
    moment: datetime

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
        """As RelationGraph; an earlier `as_of` counts."""
        then = self._earlier(as_of)
        return await self.graph.relations(tenant, subject, scope, relationship, about, limit, then)

    async def around(self, tenant: str, subject: str | None, scope: Scope, walk: Walk) -> Around:
        """As RelationGraph; an earlier moment of the walk counts."""
        return await self.graph.around(tenant, subject, scope, replace(walk, as_of=self._earlier(walk.as_of)))

    def _earlier(self, as_of: datetime | None) -> datetime:
        return self.moment if as_of is None else min(as_of, self.moment)
