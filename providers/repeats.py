"""Whether a sentence only says again what a memory says."""

from __future__ import annotations

from collections import Counter

from memfold.memory.facts import Candidate, FoundRelation, Similar
from memfold.memory.texts import plain_words
from memfold.providers.vocabulary import wordset

NEAR = 0.97
LIGHT = wordset(
    """
    a an the of to that this in on at for my am is are was be been do does did have has had
    """
)


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
    same_order = [word for word in new if word not in LIGHT] == [word for word in old if word not in LIGHT]
    return same_order and LIGHT.issuperset(differing)


def _triples(relations: list[FoundRelation]) -> set[tuple[str, str, str, bool]]:
    return {
        (relation.source.casefold(), relation.relationship, relation.target.casefold(), relation.ends)
        for relation in relations
    }
