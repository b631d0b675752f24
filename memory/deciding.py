"""What becomes of a command: one event, judged by what is true of its subject now.

Input: a command and the subject's state. Output: the event's body; the state is folded forward on the way. Models are asked
before anything is drafted, so a model that fails leaves nothing half done: the message is kept as it was said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memfold.memory.draft import Draft
from memfold.memory.errors import ModelUnavailable
from memfold.memory.facts import Candidate, Decision, FoundFact, FoundRelation, Similar, Utterances
from memfold.memory.ports import DecisionMaker, Embedder, FactExtractor, Vectors
from memfold.memory.scopes import owner_of
from memfold.memory.state import Known, SubjectState
from memfold.schemas.records import (
    AddRequested,
    Clear,
    ClearRequested,
    Command,
    DeleteRequested,
    Item,
    MemoriesDecided,
    Message,
    ModelCall,
    Scope,
    UpdateRequested,
)

SHOWN = 5
"""Memories that a decision is shown for each fact: so many nearest, and at most as many that hold a relation of the same sort."""


@dataclass(frozen=True, slots=True)
class Models:
    """The models of one deployment."""

    embedder: Embedder
    extractor: FactExtractor
    decider: DecisionMaker


async def decide(command: Command, command_id: str, state: SubjectState, models: Models) -> MemoriesDecided:
    """The event's body for a command. Folds `state` forward by it."""
    draft = Draft(command_id, state)
    match command:
        case AddRequested(infer=True):
            return await _understand(command, draft, models)
        case AddRequested():
            return await _keep_as_said(command, draft, models)
        case UpdateRequested():
            return await _update(command, draft, models)
        case DeleteRequested():
            return _delete(command, draft, models)
        case ClearRequested():
            draft.clear(Clear(command.scope, command.whole_tenant))
            return draft.body("decided", models.embedder.model)


async def _vectors(texts: list[str], models: Models) -> list[bytes]:
    rows = await models.embedder.embed(texts)
    return [row.tobytes() for row in rows.astype("<f2")]


async def _keep_as_said(
    command: AddRequested, draft: Draft, models: Models, failure: ModelUnavailable | None = None
) -> MemoriesDecided:
    """Each message of a user or assistant becomes a memory; an exact repeat changes nothing."""
    said = [
        (ordinal, item, message)
        for ordinal, item in enumerate(command.items)
        for message in item.messages
        if message.role in ("user", "assistant")
    ]
    calls = list(failure.calls) if failure else []
    vectors: list[bytes] | list[None]
    try:
        vectors = await _vectors([message.content for _, _, message in said], models)
    except ModelUnavailable as down:
        # Without a vector the memory is still listed and found by its words: input is never lost to a model.
        failure, calls, vectors = failure or down, [*calls, *down.calls], [None] * len(said)
    for (ordinal, item, message), vector in zip(said, vectors, strict=True):
        repeated = draft.state.repeat_of(message.content, command.scope)
        if repeated:
            draft.keep(repeated, ordinal)
        else:
            draft.add(message.content, vector, command.scope, item, ordinal, message.role)
    if failure:
        return draft.body("degraded", models.embedder.model, calls=calls, reason=str(failure))
    return draft.body("decided", models.embedder.model)


@dataclass(frozen=True, slots=True)
class _Answers:
    """All that the models said about one command; `vectors` holds the vector of each text that may be kept."""

    facts: list[FoundFact]
    candidates: list[Candidate]
    decisions: list[Decision]
    vectors: dict[str, bytes]
    calls: list[ModelCall]


async def _understand(command: AddRequested, draft: Draft, models: Models) -> MemoriesDecided:
    """Facts, what is near them, a decision for each, relations. Any model failure keeps the messages as they were said."""
    calls: list[ModelCall] = []
    try:
        answers = await _ask(command, draft.state, models, calls)
    except ModelUnavailable as down:
        return await _keep_as_said(command, draft, models, ModelUnavailable(str(down), [*calls, *down.calls]))
    asked = {id(candidate.fact) for candidate in answers.candidates}
    for fact in answers.facts:
        repeated = draft.state.repeat_of(fact.text, command.scope)
        if id(fact) not in asked and repeated:
            draft.keep(repeated, fact.item)
    for decision in answers.decisions:
        fact = answers.candidates[decision.fact].fact
        text = decision.text or fact.text
        _carry_out(decision, text, fact, answers.vectors[text], command, draft)
    return draft.body("decided", models.embedder.model, answers.facts, calls)


async def _ask(
    command: AddRequested, state: SubjectState, models: Models, calls: list[ModelCall]
) -> _Answers:
    """Ask the models; `calls` collects what they were asked even when a later one fails."""
    extraction = await models.extractor.extract(Utterances(command.items, owner_of(command.scope)[1]))
    calls += extraction.calls
    facts = [fact for fact in extraction.facts if 0 <= fact.item < len(command.items)]
    rows = await models.embedder.embed([fact.text for fact in facts])
    vectors = {fact.text: row.tobytes() for fact, row in zip(facts, rows.astype("<f2"), strict=True)}
    near = state.nearest(rows, command.scope, SHOWN)
    candidates = [
        Candidate(fact, _shown(fact, row, around, state, command.scope))
        for fact, row, around in zip(facts, rows, near, strict=True)
        if not state.repeat_of(fact.text, command.scope)
    ]
    if not candidates:
        return _Answers(facts, [], [], vectors, calls)
    decided = await models.decider.decide(candidates)
    calls += decided.calls
    decisions = [_checked(decision, candidates) for decision in decided.decisions]
    rewritten = [decision.text for decision in decisions if decision.text and decision.text not in vectors]
    vectors |= zip(rewritten, await _vectors(rewritten, models), strict=True)
    return _Answers(facts, candidates, decisions, vectors, calls)


def _shown(
    fact: FoundFact, row: Vectors, near: list[tuple[Known, float]], state: SubjectState, scope: Scope
) -> list[Similar]:
    """The nearest memories, then those that hold a relation of the same sort and are not near."""
    shown = {known.memory_id for known, _ in near}
    related = [known for known in state.related(fact.relations, scope, SHOWN) if known.memory_id not in shown]
    scored = [
        (known, float(row @ np.frombuffer(known.vector, "<f2").astype(np.float32)))
        for known in related
        if known.vector
    ]
    return [_similar(known, score) for known, score in (*near, *scored)]


def _similar(known: Known, score: float) -> Similar:
    relations = [
        FoundRelation(r.source, r.relationship, r.target, r.source_type, r.target_type, r.confidence)
        for r in known.relations
    ]
    return Similar(known.memory_id, known.text, score, relations)


def _checked(decision: Decision, candidates: list[Candidate]) -> Decision:
    """The decision, if it stays inside what was asked. A model that names anything else is not believed at all."""
    if not 0 <= decision.fact < len(candidates):
        raise ModelUnavailable(f"the model decided about fact {decision.fact}, which it was not asked about")
    shown = {similar.memory_id for similar in candidates[decision.fact].similar}
    if decision.op not in ("ADD", "UPDATE", "DELETE", "NONE"):
        raise ModelUnavailable(f"the model decided {decision.op!r}, which is no decision")
    if decision.op in ("UPDATE", "DELETE") and decision.memory_id not in shown:
        raise ModelUnavailable("the model named a memory that it was not shown")
    return decision


def _carry_out(
    decision: Decision, text: str, fact: FoundFact, vector: bytes, command: AddRequested, draft: Draft
) -> None:
    item = command.items[fact.item]
    known = draft.state.memories.get(decision.memory_id) if decision.memory_id else None
    if decision.op == "DELETE":
        if known:
            draft.delete(known, fact.item)
        draft.relate("", FoundFact(fact.text, relations=[r for r in fact.relations if r.ends]))
    elif decision.op == "NONE":
        if known:
            draft.keep(known, fact.item)
    elif decision.op == "UPDATE" and known:
        metadata = known.metadata if item.metadata == "{}" else item.metadata
        draft.update(known, text, vector, fact.item, metadata, item.said_at)
        draft.relate(known.memory_id, fact)
    elif repeated := draft.state.repeat_of(text, command.scope):
        draft.keep(repeated, fact.item)
    else:
        # Also an UPDATE of a memory that an earlier decision of this event deleted: the words are kept.
        role = item.messages[min(fact.message, len(item.messages) - 1)].role
        draft.relate(draft.add(text, vector, command.scope, item, fact.item, role), fact)


async def _update(command: UpdateRequested, draft: Draft, models: Models) -> MemoriesDecided:
    known = draft.state.memories.get(command.memory_id)
    if known is None:
        return _rejected(command.memory_id, draft, models)
    item = Item(
        [Message("user", command.text)], known.metadata if command.metadata is None else command.metadata
    )
    calls: list[ModelCall] = []
    facts: list[FoundFact] = []
    vector: bytes | None = None
    failure = ""
    try:
        (vector,) = await _vectors([command.text], models)
        extraction = await models.extractor.extract(Utterances([item], owner_of(known.scope)[1]))
        calls, facts = extraction.calls, extraction.facts
    except ModelUnavailable as down:
        calls, failure = [*calls, *down.calls], str(down)
    draft.update(known, command.text, vector, 0, item.metadata)
    for fact in facts:
        draft.relate(known.memory_id, fact)
    return draft.body("degraded" if failure else "decided", models.embedder.model, (), calls, failure)


def _delete(command: DeleteRequested, draft: Draft, models: Models) -> MemoriesDecided:
    known = draft.state.memories.get(command.memory_id)
    if known is None:
        return _rejected(command.memory_id, draft, models)
    draft.delete(known, 0)
    return draft.body("decided", models.embedder.model)


def _rejected(memory_id: str, draft: Draft, models: Models) -> MemoriesDecided:
    return draft.body("rejected", models.embedder.model, reason=f"no current memory has the id {memory_id}")
