"""Whether a sentence only says again what a memory says."""

from __future__ import annotations

import re
from collections import Counter

from memfold.memory.facts import Candidate, FoundRelation, Similar
from memfold.providers.vocabulary import wordset

NEAR = 0.97
FILLERS = wordset(
    """
    actually really very just so also too now well oh ok okay hey hi hello please again still anyway btw yes
    """
)
LIGHT = wordset(
    """
    a an the of to that this in on at for my am is are was be been do does did have has had
    """
)
CONTRACTIONS = (("n't", " not"), ("'m", " am"), ("'re", " are"), ("'ve", " have"), ("'ll", " will"))


def repeats(candidate: Candidate, similar: Similar) -> bool:
    """True for the same words, fillers and case aside, or for a cosine of 0.97 where only light words differ.

    The cosine alone would be wrong: static vectors give "Tom likes Anna" and "Anna likes Tom" the same one, and a
    long sentence with another weekday in it a very near one.
    """
    new, old = words(candidate.fact.text), words(similar.text)
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


def words(text: str) -> list[str]:
    """The words of a sentence in small letters, contractions written out, fillers left out."""
    text = text.casefold().replace("’", "'").replace("can't", "can not").replace("won't", "will not")
    for short, long in CONTRACTIONS:
        text = text.replace(short, long)
    return [word for word in re.findall(r"[\w']+", text) if word not in FILLERS]


def _triples(relations: list[FoundRelation]) -> set[tuple[str, str, str, bool]]:
    return {
        (relation.source.casefold(), relation.relationship, relation.target.casefold(), relation.ends)
        for relation in relations
    }
