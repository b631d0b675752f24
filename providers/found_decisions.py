"""Reads a model's answer into decisions; one that is not about what was shown makes the whole answer unusable."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from memfold.memory.facts import Candidate, Decision, Similar
from memfold.providers.asked_candidates import LONGEST_SHOWN, Shown
from memfold.providers.found_facts import LONGEST_TEXT, checked
from memfold.providers.json_answers import UnusableAnswer, read_answer

SAME_AS = {"NOOP": "NONE", "NO_CHANGE": "NONE", "NO CHANGE": "NONE", "REMOVE": "DELETE", "CREATE": "ADD"}


class _Decision(Struct):
    fact: int
    op: str
    id: int | None = None
    text: str | None = None


class _Decisions(Struct):
    decisions: list[_Decision]


def decisions_in(text: str, candidates: Sequence[Candidate], shown: Shown) -> list[Decision]:
    """At least one decision for each fact that was shown. Raises UnusableAnswer."""
    answer = read_answer(text, _Decisions, list_of="decisions")
    found = [_decision(each, candidates, shown) for each in answer.decisions]
    missing = set(shown.facts) - {decision.fact for decision in found}
    if missing:
        raise UnusableAnswer(f"nothing was decided about the facts {sorted(missing)}")
    return found


def _decision(answer: _Decision, candidates: Sequence[Candidate], shown: Shown) -> Decision:
    op = SAME_AS.get(answer.op.upper(), answer.op.upper())
    if op not in {"ADD", "UPDATE", "DELETE", "NONE"}:
        raise UnusableAnswer(f"{answer.op[:40]!r} is no decision")
    if answer.fact not in shown.facts:
        raise UnusableAnswer(f"fact {answer.fact} was not shown")
    text = candidates[answer.fact].fact.text
    if op == "ADD" or (op == "NONE" and answer.id is None):
        return Decision(op, answer.fact, text)
    memory = _memory(answer, candidates[answer.fact], shown)
    if op == "UPDATE" and len(memory.text) > LONGEST_SHOWN:
        # Only its beginning was shown: a rewritten text would lose the rest, so the fact is kept beside it.
        return Decision("ADD", answer.fact, text)
    if op == "UPDATE" and answer.text and answer.text.strip():
        text = checked(f"new text of memory {answer.id}", answer.text, LONGEST_TEXT)
    return Decision(op, answer.fact, text, memory.memory_id)


def _memory(answer: _Decision, candidate: Candidate, shown: Shown) -> Similar:
    """The memory behind an integer. Raises UnusableAnswer for one that was not shown with the fact."""
    if answer.id is not None and 0 <= answer.id < len(shown.ids):
        for similar in candidate.similar:
            if similar.memory_id == shown.ids[answer.id]:
                return similar
    raise UnusableAnswer(f"memory {answer.id} was not shown with fact {answer.fact}")


def each_once(decisions: Sequence[Decision], candidates: Sequence[Candidate]) -> list[Decision]:
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
