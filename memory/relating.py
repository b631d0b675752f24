"""Relations among each other: from found to asserted, which are the same, and which a new one takes the place of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memfold.memory.entities import Entities, entities_of
from memfold.memory.facts import FoundRelation
from memfold.schemas.records import RelationChange

LIKING = frozenset({"LIKES", "LOVES", "PREFERS"})
TASTES = LIKING | {"DISLIKES", "HATES"}


def sort_of(relationship: str) -> str:
    """Relations of one sort may contradict each other."""
    return "TASTE" if relationship in TASTES else relationship


def ends_of(found: FoundRelation, entities: Entities) -> RelationChange:
    """A found relation between entities that the subject knows, or new ones; without ids of its own and evidence yet."""
    return RelationChange(
        op="RETRACT" if found.ends else "ASSERT",
        assertion_id="",
        memory_id="",
        source=found.source,
        relationship=found.relationship,
        target=found.target,
        source_type=found.source_type,
        target_type=found.target_type,
        confidence=found.confidence,
        said_as=found.said_as,
        source_entity=entities.resolve(found.source, found.source_which),
        target_entity=entities.resolve(found.target, found.target_which),
        source_which=found.source_which,
        target_which=found.target_which,
        valid_from=None if found.ends else found.at,
        valid_to=found.at if found.ends else None,
    )


def same_triple(one: RelationChange, other: RelationChange) -> bool:
    """The same two entities in the same relation; "I don't like coffee any more" ends PREFERS as well as LIKES."""
    if entities_of(one) != entities_of(other):
        return False
    both_like = one.op == "RETRACT" and {one.relationship, other.relationship} <= LIKING
    return one.relationship == other.relationship or both_like


def replaced_by(
    found: Sequence[RelationChange], held: Iterable[RelationChange], whole: bool
) -> list[RelationChange]:
    """Those that a memory held and that its new text does not say any more."""
    asserted = [relation for relation in found if relation.op == "ASSERT"]
    spoken_of = {(entities_of(relation)[0], sort_of(relation.relationship)) for relation in found}
    return [
        old
        for old in held
        if (whole or (entities_of(old)[0], sort_of(old.relationship)) in spoken_of)
        and not any(same_triple(new, old) for new in asserted)
    ]
