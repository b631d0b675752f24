"""Taking many memories in: what is here already is passed over, what cannot be taken in is told with its reason, the rest is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from memfold.memory.errors import MemfoldError
from memfold.memory.imported import Imported, checked_import
from memfold.memory.scopes import owner_of
from memfold.memory.writing import Writing
from memfold.schemas.records import Scope


@dataclass(frozen=True, slots=True)
class Refused:
    """`place` is its number among those that were brought, from 0."""

    place: int
    reason: str


@dataclass(slots=True)
class Brought:
    """How many came in, were here before, came in without a vector; which were refused, and which are here with other words."""

    imported: int = 0
    there_before: int = 0
    degraded: int = 0
    refused: list[Refused] = field(default_factory=list)
    differing: list[Refused] = field(default_factory=list)


async def bring(writing: Writing, memories: Sequence[object], source: str, whose: Scope | None) -> Brought:
    """Take the memories in, each for itself: one that is refused keeps no other out."""
    brought = Brought()
    checked: dict[int, Imported] = {}
    for place, memory in enumerate(memories):
        try:
            checked[place] = checked_import(memory, source, whose)
        except MemfoldError as wrong:
            brought.refused.append(Refused(place, str(wrong)))
    fresh = await _fresh(writing, checked, brought)
    bodies = await writing.take_in([(one.command, one.key) for one in fresh.values()])
    for place, body in zip(fresh, bodies, strict=True):
        if body.outcome == "rejected":
            brought.refused.append(Refused(place, body.reason))
        else:
            brought.imported += 1
            brought.degraded += body.outcome == "degraded"
    brought.refused.sort(key=lambda one: one.place)
    return brought


async def _fresh(writing: Writing, checked: dict[int, Imported], brought: Brought) -> dict[int, Imported]:
    """Those whose id nobody has had, and that come only once. A command for the others would change nothing either."""
    ids = [one.command.memory_id for one in checked.values()]
    held = await writing.holders.holders(ids)
    said = {row.memory_id: row.text for row in await writing.index.find(writing.tenant, list(held))}
    fresh: dict[int, Imported] = {}
    seen: set[str] = set()
    for place, one in checked.items():
        memory_id, scope = one.command.memory_id, one.command.scope
        owner = writing.tenant, writing.subjects.known_subject(writing.tenant, *owner_of(scope))
        if memory_id in seen:
            brought.refused.append(Refused(place, f"the id {memory_id} comes a second time"))
        elif memory_id not in held:
            fresh[place] = one
        elif held[memory_id] != owner:
            brought.refused.append(Refused(place, f"the id {memory_id} is that of a memory of somebody else"))
        else:
            brought.there_before += 1
            if said.get(memory_id, one.text) != one.text:
                differs = f"the memory {memory_id} is here and says something else; it was left as it is"
                brought.differing.append(Refused(place, differs))
        seen.add(memory_id)
    return fresh
