"""Deciding again what was kept as it was said because a model had failed."""

from __future__ import annotations

from datetime import datetime

from memfold.memory.carrying import carry_out
from memfold.memory.draft import Draft
from memfold.memory.errors import ModelUnavailable
from memfold.memory.state import Known
from memfold.memory.understanding import Models, Question, understand
from memfold.schemas.records import Item, MemoriesDecided, Message, ModelCall, RetryRequested

AT_ONCE = 100
"""Pending memories that one command decides; the next one goes on with the others."""


async def retry(command: RetryRequested, asked_at: datetime, draft: Draft, models: Models) -> MemoriesDecided:
    """The first fact of a pending message takes its place as a new version, so that its id and its past stay; others are added.

    A message that says nothing worth keeping, or that is known from elsewhere by now, goes. If a model fails again nothing
    changes, and all of them stay pending.
    """
    pending = draft.state.pending(command.scope)[:AT_ONCE]
    calls: list[ModelCall] = []
    facts = []
    failure = ""
    for scope in dict.fromkeys(known.scope for known in pending):
        mine = {number: known for number, known in enumerate(pending) if known.scope == scope}
        hidden = {known.memory_id for known in pending}
        question = Question({number: _item(known) for number, known in mine.items()}, scope, asked_at, hidden)
        try:
            understood = await understand(question, draft.state, models, calls)
        except ModelUnavailable as down:
            calls, failure = [*calls, *down.calls], str(down)
            break
        facts += understood.facts
        taken = carry_out(understood, question, draft, mine)
        for number, known in mine.items():
            if known.memory_id not in taken:
                draft.delete(known, number)
    return draft.body("degraded" if failure else "decided", models.embedder.model, facts, calls, failure)


def _item(known: Known) -> Item:
    """The message as it was said. Its name is the actor of its scope already."""
    return Item(
        [Message(known.role or "user", known.text, known.scope.actor_id)], known.metadata, known.said_at
    )
