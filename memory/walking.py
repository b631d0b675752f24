"""The relations around an entity: which count, and which are reached from it, breadth first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memfold.memory.entities import entity_key
from memfold.memory.ports import Around, Near, Relation, Walk

EXPANDED = 1_000
"""Entities whose relations are followed. Everything is three steps from everything else where one entity knows all others."""


def around(relations: Sequence[Relation], walk: Walk) -> Around:
    """The walk over relations that are in scope and known as of its moment, oldest first. Cycles end where they began.

    Both directions are taken. A name may mean several entities (two people called Maria): the walk begins at each of them.
    """
    counted = [relation for relation in relations if _counts(relation, walk)]
    if walk.entity is None:
        return Around([], [Near(one, 0) for one in counted[: walk.limit]], len(counted) > walk.limit)
    start = meant(walk.entity, relations)
    found, more = _reached(counted, start, walk.hops, walk.limit)
    return Around(start, found, more)


def meant(asked: str, relations: Sequence[Relation]) -> list[str]:
    """The ids that an id or a name may mean, in the order in which they were first named."""
    ids: dict[str, None] = {}
    key = entity_key(asked)
    for relation in relations:
        for entity, name in (
            (relation.source_entity, relation.source),
            (relation.target_entity, relation.target),
        ):
            if entity == asked:
                return [asked]
            if entity_key(name) == key:
                ids[entity] = None
    return list(ids)


def _reached(
    counted: Sequence[Relation], start: Sequence[str], hops: int, limit: int
) -> tuple[list[Near], bool]:
    touching: dict[str, list[int]] = {}
    for number, relation in enumerate(counted):
        for entity in {relation.source_entity, relation.target_entity}:
            touching.setdefault(entity, []).append(number)
    found: dict[int, Near] = {}
    known, edge, expanded = set(start), list(start), 0
    for distance in range(1, hops + 1):
        beyond: list[str] = []
        for entity in edge:
            expanded += 1
            if expanded > EXPANDED:
                return list(found.values()), True
            for number in touching.get(entity, ()):
                if number in found:
                    continue
                if len(found) == limit:
                    return list(found.values()), True
                found[number] = Near(counted[number], distance)
                ends = counted[number].source_entity, counted[number].target_entity
                new = [end for end in dict.fromkeys(ends) if end not in known]
                known.update(new)
                beyond += new
        edge = beyond
    return list(found.values()), False


def _counts(relation: Relation, walk: Walk) -> bool:
    if walk.relationship is not None and relation.relationship != walk.relationship:
        return False
    if walk.valid_at is not None:
        return _true_at(relation, walk.valid_at, walk.ended)
    return walk.ended or relation.until is None


def _true_at(relation: Relation, moment: datetime, ended: bool) -> bool:
    """Whether it was true then. It counts as true from when it was learnt if nobody said since when.

    What ended without a word of when it stopped being true was taken out of view (deleted, cleared, corrected), so it counts, up
    to then, only if what has `ended` is asked for.
    """
    if moment < (relation.valid_from or relation.since):
        return False
    if relation.valid_to is not None:
        return moment < relation.valid_to
    return relation.until is None or (ended and moment < relation.until)
