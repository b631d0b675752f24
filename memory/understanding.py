"""What the models say about messages: facts, what is near each of them, a decision for each. Nothing is changed here.

Models are asked before anything is drafted, so a model that fails leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from msgspec.structs import replace

from memfold.memory.errors import ModelUnavailable
from memfold.memory.facts import Candidate, Decision, FoundFact, FoundRelation, Similar, Utterances
from memfold.memory.framing import embedded
from memfold.memory.ports import DecisionMaker, Embedder, FactExtractor, Vectors
from memfold.memory.scopes import owner_of
from memfold.memory.state import Known, SubjectState
from memfold.memory.vocabulary import canonical
from memfold.schemas.records import AddRequested, Item, Message, ModelCall, Scope

SHOWN = 5
"""Memories that a decision is shown for each fact: so many nearest, and at most as many that hold a relation of the same sort."""
OPERATIONS = ("ADD", "UPDATE", "DELETE", "NONE")


@dataclass(frozen=True, slots=True)
class Models:
    """The models of one deployment."""

    embedder: Embedder
    extractor: FactExtractor
    decider: DecisionMaker


@dataclass(frozen=True, slots=True)
class Question:
    """Items to be understood, by their ordinals in the command; `hidden` memories are not there as far as decisions go."""

    items: dict[int, Item]
    scope: Scope
    asked_at: datetime
    hidden: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Understood:
    """All that the models said. `vectors` has the vector of each text that may be kept; every candidate has a decision."""

    facts: list[FoundFact]
    candidates: list[Candidate]
    decisions: list[Decision]
    vectors: dict[str, bytes]


def spoken(scope: Scope, message: Message) -> Scope:
    """Whose memory a message becomes: the name that it bears is its actor, as long as the caller named none."""
    return replace(scope, actor_id=message.name) if message.name and scope.actor_id is None else scope


def kept_as_said(command: AddRequested) -> list[tuple[int, Item, Message, Scope]]:
    """What of a command becomes a memory each where no model is asked: its item's place, and whose memory it is."""
    return [
        (ordinal, item, message, spoken(command.scope, message))
        for ordinal, item in enumerate(command.items)
        for message in item.messages
        if message.role in ("user", "assistant")
    ]


async def vectors_of(texts: Sequence[str], models: Models) -> list[bytes]:
    """float16, little-endian. Raises ModelUnavailable."""
    rows = await models.embedder.embed([embedded(text) for text in texts])
    return [row.tobytes() for row in rows.astype("<f2")]


async def understand(
    question: Question, state: SubjectState, models: Models, calls: list[ModelCall]
) -> Understood:
    """Ask the models; `calls` collects what they were asked even when a later one fails. Raises ModelUnavailable."""
    facts = await _facts(question, models, calls)
    rows = await models.embedder.embed([embedded(fact.text) for fact in facts])
    vectors = {fact.text: row.tobytes() for fact, row in zip(facts, rows.astype("<f2"), strict=True)}
    if bare := state.bare():
        state.embed(bare, await vectors_of([known.text for known in bare], models))
    near = state.nearest(rows, question.scope, SHOWN, question.hidden)
    candidates = [
        Candidate(fact, _shown(fact, row, around, state, question))
        for fact, row, around in zip(facts, rows, near, strict=True)
        if not repeated(fact.text, fact, state, question)
    ]
    if not candidates:
        return Understood(facts, [], [], vectors)
    decided = await models.decider.decide(candidates)
    calls += decided.calls
    decisions = _complete([_checked(decision, candidates) for decision in decided.decisions], candidates)
    rewritten = [decision.text for decision in decisions if decision.text and decision.text not in vectors]
    vectors |= zip(rewritten, await vectors_of(rewritten, models), strict=True)
    return Understood(facts, candidates, decisions, vectors)


async def _facts(question: Question, models: Models, calls: list[ModelCall]) -> list[FoundFact]:
    """In memfold's vocabulary, with the ordinals of the command's items; a fact from nowhere is none."""
    ordinals = list(question.items)
    said = Utterances(list(question.items.values()), owner_of(question.scope)[1], question.asked_at)
    extraction = await models.extractor.extract(said)
    calls += extraction.calls
    return [
        replace(
            fact,
            item=ordinals[fact.item],
            relations=[canonical(relation) for relation in fact.relations],
        )
        for fact in extraction.facts
        if 0 <= fact.item < len(said.items) and 0 <= fact.message < len(said.items[fact.item].messages)
    ]


def repeated(text: str, fact: FoundFact, state: SubjectState, question: Question) -> Known | None:
    """The memory that says a text already, as whoever told the fact would have said it."""
    message = question.items[fact.item].messages[fact.message]
    return state.repeat_of(text, spoken(question.scope, message), question.hidden)


def _shown(
    fact: FoundFact, row: Vectors, near: list[tuple[Known, float]], state: SubjectState, question: Question
) -> list[Similar]:
    """The nearest memories, then those that hold a relation of the same sort and are not near."""
    shown = {known.memory_id for known, _ in near}
    related = state.related(fact.relations, question.scope, SHOWN, question.hidden)
    scored = [
        (known, float(row @ np.frombuffer(known.vector, "<f2").astype(np.float32)))
        for known in related
        if known.vector and known.memory_id not in shown
    ]
    return [_similar(known, score) for known, score in (*near, *scored)]


def _similar(known: Known, score: float) -> Similar:
    relations = [
        FoundRelation(
            r.source,
            r.relationship,
            r.target,
            r.source_type,
            r.target_type,
            r.confidence,
            source_which=r.source_which,
            target_which=r.target_which,
        )
        for r in known.relations
    ]
    return Similar(known.memory_id, known.text, score, relations)


def _checked(decision: Decision, candidates: list[Candidate]) -> Decision:
    """The decision, if it stays inside what was asked. A model that names anything else is not believed at all."""
    if not 0 <= decision.fact < len(candidates):
        raise ModelUnavailable(f"the model decided about fact {decision.fact}, which it was not asked about")
    shown = {similar.memory_id for similar in candidates[decision.fact].similar}
    if decision.op not in OPERATIONS:
        raise ModelUnavailable(f"the model decided {decision.op!r}, which is no decision")
    if decision.op in ("UPDATE", "DELETE") and decision.memory_id not in shown:
        raise ModelUnavailable("the model named a memory that it was not shown")
    return decision


def _complete(decisions: list[Decision], candidates: list[Candidate]) -> list[Decision]:
    """No fact without a decision that keeps it: what only deletes is half a contradiction, and would lose what was said."""
    kept = {decision.fact for decision in decisions if decision.op != "DELETE"}
    missing = [number for number in range(len(candidates)) if number not in kept]
    return decisions + [Decision("ADD", number, candidates[number].fact.text) for number in missing]
