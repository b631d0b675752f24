"""Whether a sentence only says again what a memory says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from memfold.memory.facts import Candidate, FoundFact, FoundRelation, Similar
from memfold.memory.texts import plain_words
from memfold.memory.wording import terms
from memfold.providers.said_again import LEAD
from memfold.providers.small_talk import CHAT, PRAISE
from memfold.providers.vocabulary import wordset

NEAR = 0.97
LIGHT = wordset(
    """
    a an the of to that this in on at for my am is are was be been do does did have has had
    """
)
PARTS = re.compile(r"[,;:!?]|\b(?:and|so|because|but)\b", re.IGNORECASE)
"""Where a sentence can be cut into what was said before and what is said around it."""
AROUND = frozenset(term for word in CHAT | PRAISE for term in terms(word))


def repeats(candidate: Candidate, similar: Similar) -> bool:
    """True for the same words, fillers and case aside, or for a cosine of 0.97 where only light words differ.

    The cosine alone would be wrong: static vectors give "Tom likes Anna" and "Anna likes Tom" the same one, and a
    long sentence with another weekday in it a very near one.
    """
    new, old = plain_words(candidate.fact.text), plain_words(similar.text)
    if new == old:
        return True
    if similar.score < NEAR:
        return False
    differing = (Counter(new) - Counter(old)) + (Counter(old) - Counter(new))
    if not differing:
        relations = _triples(candidate.fact.relations)
        return bool(relations) and relations == _triples(similar.relations)
    return _without(new, LIGHT) == _without(old, LIGHT) and LIGHT.issuperset(differing)


def tells_the_same(fact: FoundFact, text: str, similar: Similar) -> bool:
    """True for the same relations, told with one other word at most: "I'm employed by Ikea" and "I work at Ikea"."""
    told = _triples(fact.relations)
    if not told or told != _triples(similar.relations) or any(relation.ends for relation in fact.relations):
        return False
    named = {
        term for relation in fact.relations for term in (*terms(relation.target), *terms(relation.source))
    }
    return all(len(set(terms(LEAD.sub("", one))) - named) <= 1 for one in (text, similar.text))


def repeats_parts(text: str, similar: Sequence[Similar]) -> Similar | None:
    """The memory that a sentence says again, where all else that it says is small talk, or said again too.

    "Well, I have a greyhound, so I know what I'm talking about" beside "I have a greyhound".
    """
    known = {tuple(plain_words(each.text)): each for each in similar}
    again: list[Similar] = []
    for part in PARTS.split(text):
        found = known.get(tuple(plain_words(part))) if terms(part) else None
        if found is not None:
            again.append(found)
        elif not AROUND.issuperset(terms(part)):
            return None
    return again[0] if again else None


def _without(words: list[str], light: frozenset[str]) -> list[str]:
    return [word for word in words if word not in light]


def _triples(relations: list[FoundRelation]) -> set[tuple[str, str, str, bool]]:
    return {
        (relation.source.casefold(), relation.relationship, relation.target.casefold(), relation.ends)
        for relation in relations
    }
