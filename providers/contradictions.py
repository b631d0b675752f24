"""Whether what is said now takes the place of what a memory says, by their relations alone."""

from __future__ import annotations

import operator
import re

from memfold.memory.facts import FoundFact, FoundRelation, Similar
from memfold.memory.relating import LIKING
from memfold.providers.vocabulary import DISLIKING, wordset

ONE_AT_ALL_TIMES = frozenset({"HAS_NAME", "BORN_IN", "HAS_MOTHER", "HAS_FATHER", "PLANS_TO_MOVE_TO"})
"""Another target corrects the first, whether or not the sentence says so; as every FAVORITE_ does."""
ONE_AT_A_TIME = wordset(
    """
    LIVES_IN WORKS_AT HAS_PROFESSION STUDIES_AT MARRIED_TO HAS_PARTNER HAS_MANAGER FOLLOWS_DIET HAS_NICKNAME
    """
)
"""Another target replaces the first if the sentence speaks of a change; else both may be true (two jobs, two homes)."""
CHANGE = re.compile(
    r"\b(actually|now|nowadays|these days|lately|anymore|no longer|instead|correction|from now on|changed|switched|moved|relocated"
    r"|stopped|joined|started|new job|rather)\b",
    re.IGNORECASE,
)
ADDITION = re.compile(r"\b(also|too|as well|both|besides|in addition|second|another)\b", re.IGNORECASE)


def contradicts(fact: FoundFact, similar: Similar) -> bool:
    """True if the fact ends, reverses or replaces what the memory stands for, and says the rest of it again.

    A memory of which only a part is contradicted must stay: an UPDATE would lose the other part.
    """
    held = [relation for relation in similar.relations if not relation.ends]
    changed = bool(CHANGE.search(fact.text)) and not ADDITION.search(fact.text)
    contrary = [any(against(new, old, changed) for new in fact.relations) for old in held]
    again = [any(_same(new, old) for new in fact.relations) for old in held]
    return any(contrary) and all(map(operator.or_, contrary, again))


def _same(new: FoundRelation, old: FoundRelation) -> bool:
    """The fact says it again: "I'm a nurse at Mercy" beside "I'm a nurse at Saint Mary's now"."""
    return not new.ends and (new.source.casefold(), new.relationship, new.target.casefold()) == (
        old.source.casefold(),
        old.relationship,
        old.target.casefold(),
    )


def only_by_preference(fact: FoundFact, similar: Similar) -> bool:
    """True if nothing contradicts but another preference of the same sort, which may be meant for another memory."""
    return not any(
        against(new, old, changed=False)
        or (new.relationship == old.relationship and new.relationship in ONE_AT_A_TIME)
        for new in fact.relations
        for old in similar.relations
    )


def against(new: FoundRelation, old: FoundRelation, changed: bool) -> bool:
    """Whether the two cannot both hold; `changed`: the sentence speaks of a change."""
    if new.source.casefold() != old.source.casefold():
        return changed and _took_over(new, old)
    same_target = new.target.casefold() == old.target.casefold()
    both_like = new.relationship in LIKING and old.relationship in LIKING
    if new.ends:
        return same_target and (new.relationship == old.relationship or both_like)
    if same_target:
        return _reversed(new.relationship, old.relationship)
    if new.relationship == old.relationship:
        always = new.relationship in ONE_AT_ALL_TIMES or new.relationship.startswith("FAVORITE_")
        if always or (changed and new.relationship in ONE_AT_A_TIME):
            return True
    return changed and both_like and new.relationship == "PREFERS" and _same_sort(new, old)


def _took_over(new: FoundRelation, old: FoundRelation) -> bool:
    """ "Our vet is Dr. Abebe now": whoever was "our vet" is it no longer."""
    return (
        new.relationship == old.relationship == "HAS_PROFESSION"
        and new.target.casefold() == old.target.casefold()
        and new.source_which == old.source_which == new.target
    )


def _reversed(new: str, old: str) -> bool:
    return (new in LIKING and old in DISLIKING) or (new in DISLIKING and old in LIKING)


def _same_sort(new: FoundRelation, old: FoundRelation) -> bool:
    """Two drinks, two foods, or two things of one name ("window seats", "aisle seats")."""
    if new.target_type == old.target_type and new.target_type in {"FOOD", "DRINK"}:
        return True
    return new.target.casefold().split()[-1] == old.target.casefold().split()[-1]
