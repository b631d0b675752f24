"""Taking commands back: one event that makes its subject's memories and relations what they would be without them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from memfold.memory.compensation import Compensation, Step, compensation
from memfold.memory.draft import Draft
from memfold.memory.errors import ModelUnavailable
from memfold.memory.understanding import Models, vectors_of
from memfold.schemas.records import Event, MemoriesDecided, ModelCall, Operation, RevokeRequested

MOST_CHANGED = 2_000
"""Memories that one event may change, so that it stays far below the log's largest record; a caller asks for more in parts."""
_PAST = {"revert": "reverted", "revoke": "revoked"}


async def revoke(
    command: RevokeRequested, command_id: str, draft: Draft, models: Models, events: Sequence[Event]
) -> MemoriesDecided:
    """`events` as `compensation` takes them. No chat model is asked, and the embedder only for what another one had embedded."""
    # Of a long past it takes seconds, in which whoever decides has to answer Kafka.
    wanted = await asyncio.to_thread(compensation, events, command.commands, command_id)
    embedder = models.embedder.model
    if refused := _refused(wanted):
        return draft.body("rejected", embedder, reason=refused)
    vectors, calls = await _vectors(wanted.steps, models)
    for step in wanted.steps:
        _carry_out(step, draft, vectors)
    draft.state.forget_heard()
    body = draft.body("decided", embedder, calls=calls, reason=told(command))
    return replace(body, taken_back=command.commands, reviews=wanted.reviews)


def told(command: RevokeRequested) -> str:
    """How history tells it, in plain words."""
    by = f" by {command.actor_id}" if command.actor_id else ""
    return f"{_PAST.get(command.verb, command.verb)}{by}: {command.reason}"


def _refused(wanted: Compensation) -> str:
    if wanted.unknown:
        return f"no event of this subject answers command {wanted.unknown[0]}"
    if wanted.done:
        return "all of it was taken back before"
    if len(wanted.steps) > MOST_CHANGED:
        return (
            f"{len(wanted.steps):,} memories would change in one event, and at most {MOST_CHANGED:,} may; "
            "`memfold replay revoke` does it in parts"
        )
    return ""


async def _vectors(steps: Sequence[Step], models: Models) -> tuple[dict[str, bytes | None], list[ModelCall]]:
    """By memory. What another embedder made cannot be compared with the others and is made anew; if it is away, there is none."""
    vectors: dict[str, bytes | None] = {}
    foreign: dict[str, str] = {}
    for step in steps:
        if step.op in ("UPDATE", "RESTORE") and step.then is not None:
            vectors[step.memory_id] = step.then.done.vector
            if step.then.done.vector is not None and step.then.embedder != models.embedder.model:
                foreign[step.memory_id] = step.then.done.text
    if not foreign:
        return vectors, []
    try:
        made = await vectors_of(list(foreign.values()), models)
    except ModelUnavailable as down:
        return vectors | dict.fromkeys(foreign), down.calls
    return vectors | dict(zip(foreign, made, strict=True)), []


def _carry_out(step: Step, draft: Draft, vectors: dict[str, bytes | None]) -> None:
    shown = step.then or step.now
    assert shown is not None
    draft.retract(step.ends)
    if step.op in ("UPDATE", "RESTORE"):
        draft.bring_back(
            replace(
                shown.done,
                op=step.op,
                version=step.number + 1,
                item=0,
                fact=-1,
                previous_text=step.now.done.text if step.now else None,
                vector=vectors[step.memory_id],
                restores=shown.origin,
            )
        )
    else:
        # NONE too: relations have their scope from the operation beside them.
        number = step.number + (step.op == "DELETE")
        gone = Operation(step.op, step.memory_id, number, shown.done.text, shown.done.scope)
        draft.bring_back(replace(gone, previous_text=shown.done.text) if step.op == "DELETE" else gone)
    for held in step.begins:
        draft.assert_again(held)
