"""ADD, UPDATE or NONE without a network, by rules over words and relations; when unsure, ADD."""

from __future__ import annotations

from collections.abc import Sequence

from memfold.memory.facts import Candidate, Decision, Decisions, FoundFact, Similar
from memfold.providers.attitudes import turned
from memfold.providers.contradictions import contradicts, only_by_preference
from memfold.providers.corrections import corrected
from memfold.providers.repeats import repeats, repeats_parts
from memfold.providers.said_again import says_no_more


class OfflineDecider:
    """The `DecisionMaker` that needs no endpoint.

    A repeat is NONE. A fact that ends, reverses or replaces all that a shown memory says is its UPDATE, with the fact's
    text. Everything else is ADD. It never decides DELETE, and updates a memory at most once in a call.
    """

    async def decide(self, candidates: Sequence[Candidate]) -> Decisions:
        """One decision for each candidate, in their order."""
        updated: set[str] = set()
        decisions = []
        for number, candidate in enumerate(candidates):
            decision = _decide(number, candidate, updated)
            if decision.op == "UPDATE" and decision.memory_id is not None:
                updated.add(decision.memory_id)
            decisions.append(decision)
        return Decisions(decisions=decisions)


def _decide(number: int, candidate: Candidate, updated: set[str]) -> Decision:
    text = candidate.fact.text
    for similar in candidate.similar:
        if repeats(candidate, similar) or says_no_more(text, similar.text):
            return Decision("NONE", number, text, similar.memory_id)
    again = repeats_parts(text, candidate.similar)
    if again is not None:
        return Decision("NONE", number, text, again.memory_id)
    left = [similar for similar in candidate.similar if similar.memory_id not in updated]
    open_to_it = [similar for similar in left if not _outlives(similar, candidate.fact)]
    replaced = _replaced(candidate.fact, left) or _turned(text, left) or corrected(text, open_to_it, candidate.fact.takes_back)
    if replaced is not None:
        return Decision("UPDATE", number, text, replaced.memory_id)
    return Decision("ADD", number, text)


def _outlives(similar: Similar, fact: FoundFact) -> bool:
    """Whether the memory says something of which the fact does not speak: "Sarah left" leaves "I met Sarah from Google"."""
    spoken_of = {(new.source.casefold(), new.relationship) for new in fact.relations}
    return bool(spoken_of) and any(
        (old.source.casefold(), old.relationship) not in spoken_of for old in similar.relations
    )


def _turned(text: str, shown: Sequence[Similar]) -> Similar | None:
    """The one memory of which the speaker says the contrary: "I hate jogging" after "I like jogging in the park"."""
    found = [similar for similar in shown if turned(text, similar.text)]
    return found[0] if len(found) == 1 else None


def _replaced(fact: FoundFact, shown: Sequence[Similar]) -> Similar | None:
    """The memory whose place the fact takes by its relations, the nearest first; None if it cannot be told which."""
    nearest_first = sorted(shown, key=lambda similar: -similar.score)
    against = [each for each in nearest_first if contradicts(fact, each)]
    certain = [each for each in against if not only_by_preference(fact, each)]
    if certain:
        return certain[0]
    # "I prefer tea now" beside "I like coffee" and "I like juice": which of the two is over is not said.
    preferred = [each for each in against if any(old.relationship == "PREFERS" for old in each.relations)]
    found = preferred or against
    return found[0] if len(found) == 1 else None
