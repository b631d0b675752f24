"""Short ways to write what was said and what is known."""

from __future__ import annotations

from memfold.memory.facts import Candidate, FoundFact, FoundRelation, Similar, Utterances
from memfold.schemas.records import Item, Message


def said(*texts: str, speaker: str = "alex", role: str = "user") -> Utterances:
    """One item for each text."""
    return Utterances([Item([Message(role, text)]) for text in texts], speaker)


def in_words(relations: list[FoundRelation]) -> set[str]:
    """Relations as text: "alex LIKES tea[DRINK]", with " ends" behind those that end."""
    return {
        f"{each.source} {each.relationship} {each.target}[{each.target_type}]{' ends' if each.ends else ''}"
        for each in relations
    }


def candidate(fact: FoundFact, *known: FoundFact, score: float = 0.5) -> Candidate:
    """A fact beside memories "m0", "m1" ... that say what the other facts say."""
    similar = [
        Similar(f"m{number}", memory.text, score, memory.relations) for number, memory in enumerate(known)
    ]
    return Candidate(fact, similar)
