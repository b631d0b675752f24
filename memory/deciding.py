"""What becomes of a command: one event, judged by what is true of its subject now.

Input: a command and the subject's state. Output: the event's body; the state is folded forward on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memfold.memory.carrying import carry_out
from memfold.memory.draft import Draft
from memfold.memory.errors import InvalidInput, ModelUnavailable
from memfold.memory.facts import FoundFact, Utterances
from memfold.memory.importing import take_in
from memfold.memory.merging import merge, split
from memfold.memory.retrying import retry
from memfold.memory.review_mark import with_review
from memfold.memory.revoking import revoke
from memfold.memory.scopes import owner_of
from memfold.memory.state import Known, SubjectState
from memfold.memory.texts import said_key
from memfold.memory.understanding import Models, Question, kept_as_said, understand, vectors_of
from memfold.memory.vocabulary import canonical
from memfold.schemas.records import (
    AddRequested,
    Clear,
    ClearRequested,
    Command,
    DeleteRequested,
    Event,
    ImportRequested,
    Item,
    MemoriesDecided,
    MergeRequested,
    Message,
    ModelCall,
    RetryRequested,
    RevokeRequested,
    SplitRequested,
    UpdateRequested,
)


async def decide(
    command: Command,
    command_id: str,
    asked_at: datetime,
    state: SubjectState,
    models: Models,
    taken: str = "",
    events: Sequence[Event] = (),
    postponed: str = "",
) -> MemoriesDecided:
    """The event's body for a command that was asked at a time. Folds `state` forward by it.

    `taken`: why the id that an import brings cannot be given, if it cannot. `events`, for what takes back: all before it, as
    `compensation` takes them. `postponed`: why no model is asked now, if none is; what was said is kept, pending.
    """
    draft = Draft(command_id, state)
    embedder = models.embedder.model
    match command:
        case AddRequested(infer=True):
            return await _understand(command, asked_at, draft, models, postponed)
        case AddRequested():
            return await _keep_as_said(command, asked_at, draft, models)
        case UpdateRequested():
            return await _update(command, asked_at, draft, models)
        case DeleteRequested():
            known = state.memories.get(command.memory_id)
            if known is None:
                return _rejected(command.memory_id, draft, models)
            draft.delete(known, 0)
        case ClearRequested():
            draft.clear(Clear(command.scope, command.whole_tenant))
        case ImportRequested():
            return await take_in(command, draft, models, taken)
        case RetryRequested():
            return await retry(command, asked_at, draft, models)
        case RevokeRequested():
            return await revoke(command, command_id, draft, models, events)
        case MergeRequested() | SplitRequested():
            try:
                merge(command, draft) if isinstance(command, MergeRequested) else split(command, draft)
            except InvalidInput as unclear:
                return draft.body("rejected", embedder, reason=str(unclear))
    return draft.body("decided", embedder)


async def _understand(
    command: AddRequested, asked_at: datetime, draft: Draft, models: Models, postponed: str
) -> MemoriesDecided:
    """Facts, what is near them, a decision for each, relations. Any model failure keeps the messages as they were said."""
    if postponed:
        return await _keep_as_said(command, asked_at, draft, models, ModelUnavailable(postponed))
    heard = _Heard(command, asked_at, draft)
    calls: list[ModelCall] = []
    facts: list[FoundFact] = []
    if heard.fresh:
        question = Question(heard.fresh, command.scope, asked_at)
        try:
            understood = await understand(question, draft.state, models, calls)
        except ModelUnavailable as down:
            return await _keep_as_said(
                command, asked_at, draft, models, ModelUnavailable(str(down), [*calls, *down.calls])
            )
        facts = understood.facts
        carry_out(understood, question, draft)
        heard.mark(facts)
    heard.keep_repeats()
    return draft.body("decided", models.embedder.model, facts, calls)


class _Heard:
    """Which items of a command were heard before, and what they have come to: those need no model."""

    def __init__(self, command: AddRequested, asked_at: datetime, draft: Draft) -> None:
        self._command, self._asked_at, self._draft = command, asked_at, draft
        self.fresh: dict[int, Item] = {}
        self._repeats: list[int] = []
        seen: set[str] = set()
        for ordinal, item in enumerate(command.items):
            dated = self._key(item, dated=True)
            if dated in seen or self._known(item) is not None:
                self._repeats.append(ordinal)
            else:
                seen.add(dated)
                self.fresh[ordinal] = item

    def _key(self, item: Item, dated: bool) -> str:
        day = (item.said_at or self._asked_at).date().isoformat() if dated else ""
        return said_key(self._command.scope, item.messages, day)

    def _known(self, item: Item) -> list[Known] | None:
        keys = (self._key(item, dated) for dated in (False, True))
        return next((known for key in keys if (known := self._draft.state.heard(key)) is not None), None)

    def mark(self, facts: list[FoundFact]) -> None:
        """Remember the fresh items; what tells of a day relative to its own is a repeat on that day only."""
        dated = {fact.item for fact in facts if fact.when}
        for ordinal, item in self.fresh.items():
            self._draft.mark_heard(ordinal, self._key(item, ordinal in dated))

    def keep_repeats(self) -> None:
        for ordinal in self._repeats:
            for known in self._known(self._command.items[ordinal]) or ():
                self._draft.keep(known, ordinal)


async def _keep_as_said(
    command: AddRequested,
    asked_at: datetime,
    draft: Draft,
    models: Models,
    failure: ModelUnavailable | None = None,
) -> MemoriesDecided:
    """Each message of a user or assistant becomes a memory; an exact repeat changes nothing.

    After a failure they are pending, with the time at which they were said: a retry has to know what "tomorrow" was.
    """
    said = kept_as_said(command)
    calls = list(failure.calls) if failure else []
    vectors: list[bytes] | list[None]
    try:
        vectors = await vectors_of([message.content for _, _, message, _ in said], models)
    except ModelUnavailable as down:
        # Without a vector the memory is still listed and found by its words: input is never lost to a model.
        failure, calls, vectors = failure or down, [*calls, *down.calls], [None] * len(said)
    pending = {"pending": True, "said_at": asked_at} if failure else {}
    for (ordinal, item, message, scope), vector in zip(said, vectors, strict=True):
        repeated = draft.state.repeat_of(message.content, scope)
        if repeated:
            draft.keep(repeated, ordinal)
        else:
            told = pending | ({"said_at": item.said_at} if item.said_at else {})
            draft.add(message.content, vector, scope, item, ordinal, message.role, **told)
    if failure:
        return draft.body("degraded", models.embedder.model, calls=calls, reason=str(failure))
    return draft.body("decided", models.embedder.model)


async def _update(
    command: UpdateRequested, asked_at: datetime, draft: Draft, models: Models
) -> MemoriesDecided:
    known = draft.state.memories.get(command.memory_id)
    if known is None:
        return _rejected(command.memory_id, draft, models)
    # Who writes by hand has looked at it.
    metadata = with_review(known.metadata if command.metadata is None else command.metadata, "")
    item = Item([Message("user", command.text, known.scope.actor_id)], metadata)
    calls: list[ModelCall] = []
    facts: list[FoundFact] = []
    vector: bytes | None = None
    failure = ""
    try:
        (vector,) = await vectors_of([command.text], models)
        extraction = await models.extractor.extract(Utterances([item], owner_of(known.scope)[1], asked_at))
        calls, facts = extraction.calls, extraction.facts
    except ModelUnavailable as down:
        calls, failure = [*calls, *down.calls], str(down)
    draft.update(known, command.text, vector, 0, metadata, kind=facts[0].kind if facts else "")
    relations = [canonical(relation) for fact in facts for relation in fact.relations]
    draft.relate(known.memory_id, FoundFact(command.text, relations=relations), None)
    return draft.body("degraded" if failure else "decided", models.embedder.model, facts, calls, failure)


def _rejected(memory_id: str, draft: Draft, models: Models) -> MemoriesDecided:
    return draft.body("rejected", models.embedder.model, reason=f"no current memory has the id {memory_id}")
