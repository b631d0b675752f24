"""The verbs that ask the graph itself: what lies around an entity, SPARQL, and the whole of it as RDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.messages import checked_text, checked_time
from memfold.memory.moments import checked_moment
from memfold.memory.noting import note
from memfold.memory.ports import (
    Around,
    GraphExport,
    RelationGraph,
    SparqlAsked,
    SparqlEngine,
    SubjectDirectory,
    Walk,
)
from memfold.memory.recalling import checked_limit
from memfold.memory.scopes import checked_id, owner_of
from memfold.schemas.partitions import CLEARS
from memfold.schemas.records import Scope

MOST_HOPS = 3
LONGEST_QUERY = 64 * 1024
LONGEST_TIME = 60.0
FORMATS = ("turtle", "trig", "json-ld", "n-quads")


@dataclass(frozen=True, slots=True)
class Exploring:
    """Reads of one tenant's graph."""

    tenant: str
    graph: RelationGraph
    exports: GraphExport
    engine: SparqlEngine
    subjects: SubjectDirectory

    async def around(self, scope: Scope, walk: Walk) -> Around:
        """Relations inside the scope, nearest first. An agent's or a run's may belong to many users."""
        if scope.user_id is None:
            return _noted(None, await self.graph.around(self.tenant, None, scope, walk))
        subject = self.subjects.known_subject(self.tenant, *owner_of(scope))
        if subject is None:
            return Around([], [], False)
        return _noted(subject, await self.graph.around(self.tenant, subject, scope, walk))

    async def export(self, scope: Scope, format: str) -> str:
        """The graph of the scope's own subject, as far as the scope reaches."""
        subject = self._own(scope)
        if subject:
            # Which memories a query's answer rests on cannot be told from it: it may be any.
            note(subject, [CLEARS])
        return await self.exports.export(self.tenant, subject, scope, format)

    async def sparql(self, scope: Scope, asked: SparqlAsked) -> dict[str, Any]:
        """What a query finds in that graph, and nowhere else: it runs over the export."""
        dataset = await self.export(scope, "n-quads")
        return await self.engine.answer(self.tenant, self._own(scope), dataset, asked)

    def _own(self, scope: Scope) -> str:
        """The subject that new memories of the scope belong to; of one that is not known yet the graph is empty."""
        return self.subjects.known_subject(self.tenant, *owner_of(scope)) or ""


def _noted(subject: str | None, found: Around) -> Around:
    if subject or found.relations:
        note(subject, (near.relation.memory_id for near in found.relations))
    return found


def checked_sparql(query: object, parameters: object, timeout: object, limit: object) -> SparqlAsked:
    """Raises InvalidInput, InvalidType."""
    text = checked_text("query", query)
    if len(text) > LONGEST_QUERY:
        raise InvalidInput(f"query has {len(text)} characters; at most {LONGEST_QUERY} are read")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InvalidType(f"parameters must be a dict, not {type(parameters).__name__}")
    if not isinstance(timeout, int | float) or isinstance(timeout, bool):
        raise InvalidType(f"timeout must be a number of seconds, not {timeout!r}")
    if not 0 < timeout <= LONGEST_TIME:
        raise InvalidInput(f"timeout is {timeout}; it must be above 0 and at most {LONGEST_TIME:g} seconds")
    return SparqlAsked(text, dict(parameters or {}), float(timeout), checked_limit(limit))


def checked_format(format: object) -> str:
    """Raises InvalidInput."""
    if not isinstance(format, str) or format not in FORMATS:
        raise InvalidInput(f"there is no export as {format!r}; choose one of {', '.join(FORMATS)}")
    return format


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
