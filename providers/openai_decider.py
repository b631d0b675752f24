"""ADD, UPDATE, DELETE or NONE by a chat model."""

from __future__ import annotations

from collections.abc import Sequence

from memfold.memory.facts import Candidate, Decision, Decisions
from memfold.memory.prompts import DECISION_SCHEMA, Prompt, decision_prompt
from memfold.providers.asked_candidates import Shown, shown
from memfold.providers.breaker import BreakerState
from memfold.providers.chat import Chat, ChatPrompt
from memfold.providers.found_decisions import decisions_in, each_once
from memfold.providers.repeats import repeats
from memfold.providers.together import together
from memfold.schemas.records import ModelCall


class OpenAIDecider:
    """The `DecisionMaker` over a chat model: one call for forty facts that have similar memories, at most twelve for a command.

    A fact without similar memories is ADD and a repeat is NONE without asking. The model sees memories as small integers;
    one that was not shown with the fact makes the whole answer unusable. A memory of which only the beginning was shown is
    not rewritten: the fact is kept beside it.
    """

    def __init__(self, model: Chat, prompt: Prompt | None = None) -> None:
        self._model = model
        self._prompt = prompt or decision_prompt()

    async def decide(self, candidates: Sequence[Candidate]) -> Decisions:
        """At least one decision for each candidate, in their order. Raises ModelUnavailable after bounded attempts."""
        clear = {number: _clear(number, candidate) for number, candidate in enumerate(candidates)}
        open_questions = [number for number, decision in clear.items() if decision is None]
        decided = [decision for decision in clear.values() if decision is not None]
        answers = await together([self._ask(call, candidates) for call in shown(candidates, open_questions)])
        found = each_once([decision for decisions, _ in answers for decision in decisions], candidates)
        decisions = sorted([*decided, *found], key=lambda decision: decision.fact)
        return Decisions(decisions, [call for _, call in answers])

    async def _ask(self, call: Shown, candidates: Sequence[Candidate]) -> tuple[list[Decision], ModelCall]:
        ids = tuple(call.ids)
        prompt = ChatPrompt("decision", self._prompt, "candidates", call.data, DECISION_SCHEMA, ids)
        return await self._model.ask(prompt, lambda text: decisions_in(text, candidates, call))

    @property
    def breaker(self) -> BreakerState:
        return self._model.breaker

    async def close(self) -> None:
        await self._model.close()


def _clear(number: int, candidate: Candidate) -> Decision | None:
    """What needs no model."""
    if not candidate.similar:
        return Decision("ADD", number, candidate.fact.text)
    for similar in candidate.similar:
        if repeats(candidate, similar):
            return Decision("NONE", number, candidate.fact.text, similar.memory_id)
    return None
