"""What has to be done so that it is as if some commands had not been asked: pure, of the events alone.

The same function shows beforehand what a revoke would do, and does it when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from memfold.memory.lives import Life, Lives, Version
from memfold.memory.revoked import Revoked
from memfold.schemas.records import Event, RelationChange, Review, TakenBack


@dataclass(frozen=True, slots=True)
class Step:
    """One memory: RESTORE, UPDATE or DELETE to what it should be, NONE where only relations change. `ends` hold now and should
    not, `begins` should and do not.
    """

    op: str
    memory_id: str
    number: int
    """Of the last version."""
    now: Version | None
    then: Version | None
    ends: list[RelationChange] = field(default_factory=list)
    begins: list[RelationChange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Compensation:
    """`unknown` are ids of commands without an event here; `done` says that all of it was taken back before."""

    steps: list[Step]
    reviews: list[Review]
    unknown: list[str]
    done: bool


def compensation(events: Sequence[Event], taken: Sequence[TakenBack], command_id: str = "") -> Compensation:
    """To take back `taken`, by the command of this id. `events`: the subject's and the clears of its tenant, fenced, in log order."""
    revocations = [(e.envelope.command_id, e.body.taken_back) for e in events if e.body.taken_back]
    before, after = Revoked(revocations), Revoked([*revocations, (command_id, taken)])
    touched = {event.envelope.command_id: _touched(event) for event in events}
    unknown = [one.command_id for one in taken if one.command_id not in touched]
    if unknown:
        return Compensation([], [], unknown, False)
    done = all(
        before(one.command_id, memory_id)
        for one in taken
        for memory_id in ([one.memory_id] if one.memory_id else ["", *touched[one.command_id]])
    )
    lives = Lives(events, after)
    told = {(one.memory_id, one.command_id) for event in events for one in event.body.reviews}
    steps = [step for life in lives.of.values() if (step := _step(life)) is not None]
    return Compensation(steps, _fresh(lives.reviews, told), [], done)


def _touched(event: Event) -> set[str]:
    changed = {change.memory_id for change in event.body.relations}
    return changed | {done.memory_id for done in event.body.operations if done.op != "NONE"}


def _fresh(reviews: Iterable[Review], told: set[tuple[str, str]]) -> list[Review]:
    """One for each memory and command, the first, unless an earlier event has told of it."""
    found: dict[tuple[str, str], Review] = {}
    for one in reviews:
        place = one.memory_id, one.command_id
        if place not in told:
            found.setdefault(place, one)
    return list(found.values())


def _step(life: Life) -> Step | None:
    ends = [held for root, held in life.holds.items() if root not in life.should_hold or life.should is None]
    begins = [one for root, one in life.should_hold.items() if root not in life.holds]
    step = Step(_op(life), life.memory_id, life.number, life.real, life.should, ends, begins)
    return step if ends or begins or step.op != "NONE" else None


def _op(life: Life) -> str:
    if life.should is None:
        return "NONE" if life.real is None else "DELETE"
    if life.real is None:
        return "RESTORE"
    return "NONE" if life.real.same(life.should) else "UPDATE"
