"""ADD, UPDATE or NONE without a network, by rules over words and relations, then by weighed signs; when unsure, ADD."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from memfold.memory.facts import Candidate, Decision, Decisions, FoundFact, Similar
from memfold.providers.attitudes import turned
from memfold.providers.contradictions import contradicts, only_by_preference
from memfold.providers.corrections import corrected
from memfold.providers.repeats import repeats, repeats_parts, tells_the_same
from memfold.providers.replacing import likely_replaced
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
    fact = candidate.fact
    for similar in candidate.similar:
        if repeats(candidate, similar):
            return Decision("NONE", number, fact.text, similar.memory_id)
    text, own = _without_speaker(fact.text, fact.speaker), list(_own(candidate))
    said = (one for one in own if says_no_more(text, one.text) or tells_the_same(fact, text, one))
    again = next(said, None) or repeats_parts(text, own)
    if again is not None:
        return Decision("NONE", number, fact.text, again.memory_id)
    left = [similar for similar in candidate.similar if similar.memory_id not in updated]
    replaced = _replaced(fact, left) or _by_words(
        fact, text, [similar for similar in own if similar.memory_id not in updated]
    )
    if replaced is not None:
        return Decision("UPDATE", number, fact.text, replaced.memory_id)
    return Decision("ADD", number, fact.text)


def _by_words(fact: FoundFact, text: str, own: Sequence[Similar]) -> Similar | None:
    """The memory of the same speaker whose place the sentence takes by its words; the surest way to tell comes first."""
    contrary = [similar for similar in own if turned(text, similar.text)]
    if len(contrary) == 1:
        return contrary[0]
    open_to_it = [similar for similar in own if not _outlives(similar, fact)]
    return corrected(text, open_to_it, fact.takes_back) or likely_replaced(fact, text, open_to_it)


def _own(candidate: Candidate) -> Iterator[Similar]:
    """The memories that the same speaker told, without his name, which both have in common and which tells nothing."""
    speaker = candidate.fact.speaker
    for similar in candidate.similar:
        text = _without_speaker(similar.text, speaker)
        if not speaker or text != similar.text:
            yield replace(similar, text=text)


def _without_speaker(text: str, speaker: str) -> str:
    return text.removeprefix(f"{speaker}: ") if speaker else text


def _outlives(similar: Similar, fact: FoundFact) -> bool:
    """Whether the memory says something of which the fact does not speak: "Sarah left" leaves "I met Sarah from Google"."""
    spoken_of = {(new.source.casefold(), new.relationship) for new in fact.relations}
    return bool(spoken_of) and any(
        (old.source.casefold(), old.relationship) not in spoken_of for old in similar.relations
    )


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
