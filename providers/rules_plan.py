"""What somebody is going to do."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Token

from memfold.memory.facts import FoundRelation
from memfold.providers.clauses import LIKELY, Clause
from memfold.providers.entities import Entity, is_name, thing
from memfold.providers.phrases import after, deed, objects, stands_alone
from memfold.providers.rules_taste import NOT_A_DEED

PLANNING = frozenset({"plan", "intend", "decide", "go"})
TRAVELLING = frozenset({"travel", "fly", "go", "drive"})
PLACES = frozenset({"GPE", "LOC", "FAC", "ORG", ""})


def plan(clause: Clause) -> Iterator[FoundRelation]:
    """ "I'm going to visit Japan", "We're moving to Berlin in May", "I'll run a marathon in June"."""
    if clause.negated or clause.ended:
        return
    if clause.lemma == "plan" and clause.plain and clause.present:
        for word in objects(clause.verb):
            if word.pos_ == "NOUN" and thing(word) is not None:
                yield from clause.relate("PLANS", Entity(deed(word), "EVENT"), LIKELY)
    if clause.lemma == "be" and clause.plain and clause.present:
        for word in clause.verb.children:
            if word.lower_ == "off" and word.dep_ in {"advmod", "prt", "acomp"}:
                yield from _places(clause, "PLANS_TO_VISIT", after(word, "to"))
    for verb in _planned(clause):
        lemma = verb.lemma_.lower()
        if lemma == "visit":
            yield from _places(clause, "PLANS_TO_VISIT", objects(verb))
        elif lemma in TRAVELLING:
            yield from _places(clause, "PLANS_TO_VISIT", after(verb, "to"))
        elif lemma in {"move", "relocate"}:
            yield from _places(clause, "PLANS_TO_MOVE_TO", after(verb, "to"))
        elif lemma not in NOT_A_DEED and stands_alone(verb) and any(objects(verb)):
            yield from clause.relate("PLANS", Entity(deed(verb), "ACTIVITY"), LIKELY)


def _planned(clause: Clause) -> Iterator[Token]:
    """The verb of what is planned, if the clause plans anything."""
    verb = clause.verb
    going_on = verb.tag_ == "VBG" and clause.plain and clause.present
    if clause.lemma in PLANNING and clause.plain and (clause.lemma != "go" or going_on):
        deeds = [child for child in verb.children if child.dep_ == "xcomp" and child.tag_ == "VB"]
        if deeds or clause.lemma != "go":
            yield from deeds
            return
    if (
        (going_on and clause.lemma in TRAVELLING | {"visit", "move", "relocate"})
        or (clause.modal in {"will", "'ll", "’ll"} and _has_time(verb))
        or (verb.tag_ in {"VBP", "VBZ"} and clause.lemma in TRAVELLING | {"move"} and _is_coming(verb))
    ):
        yield verb


def _places(clause: Clause, relationship: str, words: Iterator[Token]) -> Iterator[FoundRelation]:
    for word in words:
        if is_name(word) and word.ent_type_ in PLACES:
            yield from clause.relate(relationship, thing(word, "PLACE"))


def _is_coming(verb: Token) -> bool:
    """ "We fly to Rome tomorrow"; not "every summer"."""
    return any(
        word.ent_type_ == "DATE" and word.lower_ in {"tomorrow", "next", "tonight"} for word in verb.subtree
    )


def _has_time(verb: Token) -> bool:
    return any(word.ent_type_ == "DATE" for word in verb.subtree)
