"""The graph that the workers serve, as it stood at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from memfold.memory.ports import About, Relation, RelationGraph
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
        then = self.moment if as_of is None else min(as_of, self.moment)
        return await self.graph.relations(tenant, subject, scope, relationship, about, limit, then)
