"""The graph of a past: what it says of a moment that it does not reach is an error, not its last state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from memfold.memory.errors import InvalidInput
from memfold.memory.ports import Around, Walk
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.schemas.records import Scope


class RelationsUntil(OxigraphRelations):
    """Relations as they were known up to an aware moment."""

    def __init__(self, shards: Mapping[int, GraphShard | None], until: datetime) -> None:
        super().__init__(shards)
        self._until = until

    async def around(self, tenant: str, subject: str | None, scope: Scope, walk: Walk) -> Around:
        """As RelationGraph. Raises InvalidInput."""
        if walk.as_of is not None and walk.as_of > self._until:
            raise later_than(self._until, walk.as_of)
        return await super().around(tenant, subject, scope, walk)


def later_than(until: datetime, moment: datetime) -> InvalidInput:
    return InvalidInput(
        f"as_of {moment.isoformat()} is later than this past, which is of {until.isoformat()}; leave it out, or ask the stack itself"
    )
