"""What is different between what was recorded and what was decided again: memories and relations that hold at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from memfold.memory.state import Known, SubjectState
from memfold.memory.texts import same_key
from memfold.replay.what_if_decided import alike
from memfold.schemas.records import RelationChange, Scope

Triple = tuple[str, str, str]


class Difference(NamedTuple):
    """`changed`: as recorded, and as it is now."""

    gained: list[Known]
    lost: list[Known]
    changed: list[tuple[Known, Known]]
    relations_gained: list[Triple]
    relations_lost: list[Triple]
    same: int


def difference(recorded: SubjectState, shadow: SubjectState) -> Difference:
    """A memory that says the same in the same scope is the same, whatever its id. Under one id with other words it is changed,
    unless the two have nothing to do with each other: an id says only where among its command's memories it came.
    """
    then, now = dict(recorded.memories), dict(shadow.memories)
    by_words: dict[tuple[str, Scope], list[str]] = {}
    for known in now.values():
        by_words.setdefault(_said(known), []).append(known.memory_id)
    same = 0
    for known in list(then.values()):
        twins = by_words.get(_said(known))
        if twins:
            # Its own id first: another memory of the same words keeps its own.
            twin = known.memory_id if known.memory_id in twins else twins[0]
            twins.remove(twin)
            del then[known.memory_id], now[twin]
            same += 1
    changed = [
        (known, now[known.memory_id])
        for known in then.values()
        if known.memory_id in now and alike(known, now[known.memory_id])
    ]
    for known, _ in changed:
        del then[known.memory_id], now[known.memory_id]
    held, holds = _triples(recorded), _triples(shadow)
    return Difference(
        list(now.values()),
        list(then.values()),
        changed,
        [holds[key] for key in holds if key not in held],
        [held[key] for key in held if key not in holds],
        same,
    )


def _said(known: Known) -> tuple[str, Scope]:
    return same_key(known.text), known.scope


def _triples(state: SubjectState) -> dict[Triple, Triple]:
    return triples(held for known in state.memories.values() for held in known.relations)


def triples(relations: Iterable[RelationChange]) -> dict[Triple, Triple]:
    """By what is compared, as they were said."""
    told = ((one.source, one.relationship, one.target) for one in relations)
    return {(same_key(one[0]), one[1], same_key(one[2])): one for one in told}
