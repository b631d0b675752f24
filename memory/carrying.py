"""Decisions carried out in a draft: operations on memories, and the relations that go with them."""

from __future__ import annotations

from collections.abc import Mapping

from memfold.memory.draft import Draft
from memfold.memory.facts import Decision, FoundFact
from memfold.memory.review_mark import review_of, with_review
from memfold.memory.state import Known
from memfold.memory.understanding import Question, Understood, repeated, spoken


def carry_out(
    understood: Understood, question: Question, draft: Draft, places: Mapping[int, Known] | None = None
) -> set[str]:
    """Draw up what was decided, in the order of the decisions.

    `places`: memories by item whose place the first new memory of that item takes; the ids of those that were taken.
    """
    carrying = _Carrying(understood, question, draft, dict(places or {}))
    asked = {id(candidate.fact) for candidate in understood.candidates}
    for fact in understood.facts:
        if id(fact) not in asked:
            carrying.repeat(fact)
    for decision in understood.decisions:
        carrying.decide(decision)
    return carrying.taken


class _Carrying:
    def __init__(
        self, understood: Understood, question: Question, draft: Draft, places: dict[int, Known]
    ) -> None:
        self._understood, self._question, self._draft, self._places = understood, question, draft, places
        self._numbers = {id(fact): number for number, fact in enumerate(understood.facts)}
        self._shown = {
            id(one.fact): {similar.memory_id for similar in one.similar} for one in understood.candidates
        }
        self._touched: set[str] = set()
        self.taken: set[str] = set()

    def repeat(self, fact: FoundFact) -> None:
        known = repeated(fact.text, fact, self._draft.state, self._question)
        if known:
            self._draft.keep(known, fact.item)

    def decide(self, decision: Decision) -> None:
        fact = self._understood.candidates[decision.fact].fact
        known = self._draft.state.memories.get(decision.memory_id) if decision.memory_id else None
        if decision.op == "NONE" and (known or decision.memory_id is None):
            # Without a memory the model only says that nothing is new.
            if known:
                self._draft.keep(known, fact.item)
        elif decision.op == "DELETE":
            if known and known.memory_id not in self._touched:
                self._draft.delete(known, fact.item, self._question.items[fact.item].said_at)
        elif decision.op == "UPDATE" and known and known.memory_id not in self._touched:
            self._write_over(known, decision.text or fact.text, fact)
        else:
            # Also an UPDATE of a memory that an earlier decision of this event has changed: neither fact may be lost.
            self._add(fact, fact.text if decision.op != "ADD" else decision.text or fact.text)

    def _add(self, fact: FoundFact, text: str) -> None:
        item = self._question.items[fact.item]
        message = item.messages[fact.message]
        known = repeated(text, fact, self._draft.state, self._question)
        place = self._places.pop(fact.item, None)
        if known:
            self._draft.keep(known, fact.item)
        elif place:
            self.taken.add(place.memory_id)
            self._write_over(place, text, fact)
        else:
            vector = self._understood.vectors[text]
            scope = spoken(self._question.scope, message)
            memory_id = self._draft.add(
                text, vector, scope, item, fact.item, message.role, **self._told(fact)
            )
            self._touched.add(memory_id)
            self._draft.relate(memory_id, fact, item.said_at, self._seen(fact))

    def _write_over(self, known: Known, text: str, fact: FoundFact) -> None:
        item = self._question.items[fact.item]
        metadata = known.metadata if item.metadata == "{}" else item.metadata
        metadata = with_review(metadata, review_of(known.metadata))
        vector = self._understood.vectors[text]
        self._draft.update(known, text, vector, fact.item, metadata, item.said_at, **self._told(fact))
        self._touched.add(known.memory_id)
        self._draft.relate(known.memory_id, fact, item.said_at, self._seen(fact), whole=text == fact.text)

    def _seen(self, fact: FoundFact) -> set[str]:
        """What the decision about the fact was shown, and what this event has made."""
        return self._shown[id(fact)] | self._touched

    def _told(self, fact: FoundFact) -> dict[str, object]:
        return {"kind": fact.kind, "fact": self._numbers[id(fact)], "when": fact.when}
