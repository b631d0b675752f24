"""ADD, UPDATE, DELETE or NONE by a chat model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from memfold.memory.facts import Candidate, Decision, Decisions
from memfold.memory.prompts import DECISION_SCHEMA, Prompt, decision_prompt
from memfold.providers.breaker import BreakerState
from memfold.providers.chat import Chat, ChatPrompt
from memfold.providers.found_facts import LONGEST_TEXT, checked
from memfold.providers.json_answers import UnusableAnswer, read_answer
from memfold.providers.repeats import repeats
from memfold.providers.together import together
from memfold.schemas.records import ModelCall

AT_ONCE = 40
"""Candidates of one call."""
SAME_AS = {"NOOP": "NONE", "NO_CHANGE": "NONE", "NO CHANGE": "NONE", "REMOVE": "DELETE", "CREATE": "ADD"}


class _Decision(Struct):
    fact: int
    op: str
    id: int | None = None
    text: str | None = None


class _Decisions(Struct):
    decisions: list[_Decision]


class OpenAIDecider:
    """The `DecisionMaker` over a chat model: one call for every forty facts that have similar memories.

    A fact without similar memories is ADD and a repeat is NONE without asking. The model sees memories as small integers;
    one that was not shown with the fact makes the whole answer unusable.
    """

    def __init__(self, model: Chat, prompt: Prompt | None = None) -> None:
        self._model = model
        self._prompt = prompt or decision_prompt()

    async def decide(self, candidates: Sequence[Candidate]) -> Decisions:
        """At least one decision for each candidate, in their order. Raises ModelUnavailable after bounded attempts."""
        clear = {number: _clear(number, candidate) for number, candidate in enumerate(candidates)}
        open_questions = [number for number, decision in clear.items() if decision is None]
        decided = [decision for decision in clear.values() if decision is not None]
        pieces = [open_questions[start : start + AT_ONCE] for start in range(0, len(open_questions), AT_ONCE)]
        answers = await together([self._ask(candidates, piece) for piece in pieces])
        found = _once([decision for decisions, _ in answers for decision in decisions], candidates)
        decisions = sorted([*decided, *found], key=lambda decision: decision.fact)
        return Decisions(decisions, [call for _, call in answers])

    async def _ask(
        self, candidates: Sequence[Candidate], asked: list[int]
    ) -> tuple[list[Decision], ModelCall]:
        shown = _shown(candidates, asked)
        ids = tuple(shown.ids)
        prompt = ChatPrompt("decision", self._prompt, "candidates", shown.data, DECISION_SCHEMA, ids)

        def read(text: str) -> list[Decision]:
            answer = read_answer(text, _Decisions, list_of="decisions")
            found = [_decision(each, candidates, asked, shown.ids) for each in answer.decisions]
            missing = set(asked) - {decision.fact for decision in found}
            if missing:
                raise UnusableAnswer(f"nothing was decided about the facts {sorted(missing)}")
            return found

        return await self._model.ask(prompt, read)

    @property
    def breaker(self) -> BreakerState:
        return self._model.breaker

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
        when = {"when": candidates[fact].fact.when} if candidates[fact].fact.when else {}
        data.append({"fact": fact, "text": candidates[fact].fact.text, **when, "similar": similar})
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
    text = candidate.fact.text
    if op == "UPDATE" and answer.text and answer.text.strip():
        text = checked(f"new text of memory {answer.id}", answer.text, LONGEST_TEXT)
    return Decision(op, answer.fact, text, memory_id)


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
