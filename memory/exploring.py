"""The verbs that ask the graph itself: what lies around an entity."""

from __future__ import annotations

from dataclasses import dataclass

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.messages import checked_text, checked_time
from memfold.memory.moments import checked_moment
from memfold.memory.ports import Around, RelationGraph, SubjectDirectory, Walk
from memfold.memory.recalling import checked_limit
from memfold.memory.scopes import checked_id, owner_of
from memfold.schemas.records import Scope

MOST_HOPS = 3


@dataclass(frozen=True, slots=True)
class Exploring:
    """Reads of one tenant's graph."""

    tenant: str
    graph: RelationGraph
    subjects: SubjectDirectory

    async def around(self, scope: Scope, walk: Walk) -> Around:
        """Relations inside the scope, nearest first. An agent's or a run's may belong to many users."""
        if scope.user_id is None:
            return await self.graph.around(self.tenant, None, scope, walk)
        subject = self.subjects.known_subject(self.tenant, *owner_of(scope))
        if subject is None:
            return Around([], [], False)
        return await self.graph.around(self.tenant, subject, scope, walk)


def checked_walk(
    entity: object,
    relationship: object,
    hops: object,
    as_of: object,
    valid_at: object,
    ended: object,
    limit: object,
) -> Walk:
    """Raises InvalidInput, InvalidType."""
    if not isinstance(hops, int) or isinstance(hops, bool):
        raise InvalidType(f"hops must be a whole number, not {hops!r}")
    if not 1 <= hops <= MOST_HOPS:
        raise InvalidInput(f"hops is {hops}; it must be between 1 and {MOST_HOPS}")
    if entity is None and hops != 1:
        raise InvalidInput(f"hops is {hops}, but from where? Pass an entity, by its name or its id")
    if not isinstance(ended, bool):
        raise InvalidType(f"ended must be True or False, not {ended!r}")
    return Walk(
        None if entity is None else checked_text("entity", entity),
        checked_id("relationship", relationship),
        hops,
        checked_moment(as_of),
        checked_time(valid_at, "valid_at"),
        ended,
        checked_limit(limit),
    )
