"""ADD, UPDATE, DELETE or NONE by a chat model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from memfold.memory.facts import Candidate, Decision, Decisions
from memfold.memory.prompts import DECISION, DECISION_SCHEMA
from memfold.providers.chat import ChatModel, ChatPrompt
from memfold.providers.json_answers import UnusableAnswer, read_answer
from memfold.providers.openai_extractor import LONGEST_TEXT, UNSTORABLE
from memfold.providers.repeats import repeats

SAME_AS = {"NOOP": "NONE", "NO_CHANGE": "NONE", "NO CHANGE": "NONE", "REMOVE": "DELETE", "CREATE": "ADD"}


class _Decision(Struct):
    fact: int
    op: str
    id: int | None = None
    text: str | None = None


class _Decisions(Struct):
    decisions: list[_Decision]


class OpenAIDecider:
    """The `DecisionMaker` over chat completions: one call for all facts that have similar memories.

    A fact without similar memories is ADD and a repeat is NONE without asking. The model sees memories as small integers;
    one that was not shown with the fact makes the whole answer unusable.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    async def decide(self, candidates: Sequence[Candidate]) -> Decisions:
        """At least one decision for each candidate, in their order. Raises ModelUnavailable after bounded attempts."""
        clear = {number: _clear(number, candidate) for number, candidate in enumerate(candidates)}
        open_questions = [number for number, decision in clear.items() if decision is None]
        decided = [decision for decision in clear.values() if decision is not None]
        if not open_questions:
            return Decisions(decisions=decided)
        shown = _shown(candidates, open_questions)
        prompt = ChatPrompt("decision", DECISION, "candidates", shown.data, DECISION_SCHEMA)

        def read(text: str) -> list[Decision]:
            answer = read_answer(text, _Decisions, list_of="decisions")
            found = [_decision(each, candidates, open_questions, shown.ids) for each in answer.decisions]
            missing = set(open_questions) - {decision.fact for decision in found}
            if missing:
                raise UnusableAnswer(f"nothing was decided about the facts {sorted(missing)}")
            return _once(found, candidates)

        found, call = await self._model.ask(prompt, read)
        decisions = sorted([*decided, *found], key=lambda decision: decision.fact)
        return Decisions(decisions=decisions, calls=[call])

    async def close(self) -> None:
        await self._model.close()


class _Shown(NamedTuple):
    """What the model sees, and the memory ids behind its integers."""

    data: list[dict[str, object]]
    ids: list[str]


def _clear(number: int, candidate: Candidate) -> Decision | None:
    """What needs no model."""
    if not candidate.similar:
        return Decision("ADD", number, candidate.fact.text)
    for similar in candidate.similar:
        if repeats(candidate, similar):
            return Decision("NONE", number, candidate.fact.text, similar.memory_id)
    return None


def _shown(candidates: Sequence[Candidate], open_questions: list[int]) -> _Shown:
    numbers: dict[str, int] = {}
    data: list[dict[str, object]] = []
    for fact in open_questions:
        similar: list[dict[str, object]] = [
            {"id": numbers.setdefault(memory.memory_id, len(numbers)), "text": memory.text}
            for memory in candidates[fact].similar
        ]
        data.append({"fact": fact, "text": candidates[fact].fact.text, "similar": similar})
    return _Shown(data, list(numbers))


def _decision(
    answer: _Decision, candidates: Sequence[Candidate], open_questions: list[int], ids: list[str]
) -> Decision:
    op = SAME_AS.get(answer.op.upper(), answer.op.upper())
    if op not in {"ADD", "UPDATE", "DELETE", "NONE"}:
        raise UnusableAnswer(f"{answer.op[:40]!r} is no decision")
    if answer.fact not in open_questions:
        raise UnusableAnswer(f"fact {answer.fact} was not shown")
    candidate = candidates[answer.fact]
    if op == "ADD":
        return Decision("ADD", answer.fact, candidate.fact.text)
    memory_id = None
    if answer.id is not None or op != "NONE":
        known = {similar.memory_id for similar in candidate.similar}
        if answer.id is None or not 0 <= answer.id < len(ids) or ids[answer.id] not in known:
            raise UnusableAnswer(f"memory {answer.id} was not shown with fact {answer.fact}")
        memory_id = ids[answer.id]
    text = " ".join((answer.text or "").split()) if op == "UPDATE" else ""
    if len(text) > LONGEST_TEXT or UNSTORABLE.search(text):
        raise UnusableAnswer(f"the new text of memory {answer.id} is too long or not storable")
    return Decision(op, answer.fact, text or candidate.fact.text, memory_id)


def _once(decisions: list[Decision], candidates: Sequence[Candidate]) -> list[Decision]:
    """Each decision once; a memory that one of them changes is not changed again, the later fact is kept beside it."""
    changed: dict[str, Decision] = {}
    kept: list[Decision] = []
    for decision in decisions:
        changes = decision.op in {"UPDATE", "DELETE"} and decision.memory_id is not None
        if changes and changed.setdefault(str(decision.memory_id), decision) != decision:
            kept.append(Decision("ADD", decision.fact, candidates[decision.fact].fact.text))
        elif decision not in kept:
            kept.append(decision)
    return kept
