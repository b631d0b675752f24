"""Decides commands again over what was true before them: beside what was recorded, never in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

from memfold.memory.deciding import decide
from memfold.memory.state import Known, SubjectState
from memfold.memory.texts import same_key
from memfold.memory.understanding import Models
from memfold.providers.answers import DECISION, EXTRACTION, NotAsked
from memfold.replay.what_if_asked import Asked, Step, Told
from memfold.schemas.records import (
    Command,
    DeleteRequested,
    Event,
    ImportRequested,
    MemoriesDecided,
    RevokeRequested,
    UpdateRequested,
)

ALIKE = 0.5
"""Cosine from which on two texts under one id are one fact in other words."""


@dataclass(frozen=True, slots=True)
class DecidedAgain:
    """A command, what was recorded of it and what became of it now; `asked` None: taken as it was recorded."""

    asked: Asked | None
    event: Event
    body: MemoriesDecided


@dataclass(slots=True)
class Both:
    """One subject: what is true after the last step, as recorded and as decided again."""

    subject: str
    recorded: SubjectState
    shadow: SubjectState
    steps: list[DecidedAgain] = field(default_factory=list)
    not_followed: int = 0
    following: int = 0
    """Where nothing was asked: decisions that would be asked for after the extractions that were not made."""


async def decide_again(told: Told, models: Models) -> Both:
    """In command order. Raises WhatIfStopped.

    Where NotAsked comes out of a model (nothing is to be asked), what was recorded is taken.
    """
    model = models.embedder.model
    both = Both(told.subject, state_after(told.before, model), state_after(told.before, model))
    for step in told.steps:
        body = await _decided(step, told, both, models)
        both.recorded.fold(step.event.body)
        both.steps.append(DecidedAgain(step.asked, step.event, body))
    return both


def state_after(events: Iterable[Event], model: str) -> SubjectState:
    """What the events made true, with vectors of `model`; a memory that another embedder's event made is embedded when it is needed."""
    state, vectors, foreign = SubjectState(), dict[tuple[str, int], bytes](), False
    for event in events:
        state.fold(event.body)
        if event.body.embedder == model:
            vectors |= {(done.memory_id, done.version): done.vector or b"" for done in event.body.operations}
        else:
            foreign = True
    if foreign:
        state.go_over(model, vectors)
    state.model = model
    return state


async def _decided(step: Step, told: Told, both: Both, models: Models) -> MemoriesDecided:
    recorded = step.event.body
    if step.asked is None:
        both.shadow.fold(recorded)
        return recorded
    envelope, command = step.asked
    there = followed(command, both)
    if there is None:
        both.not_followed += 1
        return MemoriesDecided(
            "rejected", reason="the memory that was meant is not there", embedder=models.embedder.model
        )
    taken = recorded.reason if isinstance(command, ImportRequested) and recorded.outcome == "rejected" else ""
    events = _shadow_events(told, both.steps) if isinstance(command, RevokeRequested) else []
    try:
        return await decide(
            there, envelope.command_id, envelope.occurred_at, both.shadow, models, taken, events
        )
    except NotAsked as unasked:
        if unasked.purpose == EXTRACTION:
            both.following += _decisions_after(recorded, both)
        both.shadow.fold(recorded)
        return recorded


def _decisions_after(recorded: MemoriesDecided, both: Both) -> int:
    """How many decisions an extraction brings: as many as it did; one, where rules decided and there were memories to show."""
    if recorded.calls:
        return sum(call.purpose == DECISION for call in recorded.calls)
    return int(bool(recorded.facts) and bool(both.shadow.memories))


def _shadow_events(told: Told, steps: Sequence[DecidedAgain]) -> list[Event]:
    return [*told.before, *(replace(step.event, body=step.body) for step in steps)]


def followed(command: Command, both: Both) -> Command | None:
    """The command, naming the memory that says here what the one it named said then. None: there is no such memory."""
    if not isinstance(command, UpdateRequested | DeleteRequested):
        return command
    meant = both.recorded.memories.get(command.memory_id)
    if meant is None:
        return command
    here = both.shadow.memories.get(command.memory_id)
    if here is not None and same_key(here.text) == same_key(meant.text):
        return command
    twin = both.shadow.repeat_of(meant.text, meant.scope)
    if twin is not None:
        return replace(command, memory_id=twin.memory_id)
    return command if here is not None and alike(meant, here) else None


def alike(one: Known, other: Known) -> bool:
    """Whether two memories under one id say one thing, in other words perhaps; without comparable vectors that is assumed."""
    if not one.vector or len(one.vector) != len(other.vector):
        return True
    first, second = (np.frombuffer(known.vector, "<f2").astype(np.float32) for known in (one, other))
    return float(first @ second) >= ALIKE
