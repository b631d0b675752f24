"""Who somebody is: name, profession, diet, allergies, and what they have."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Span, Token

from memfold.memory.facts import FoundRelation
from memfold.providers.clauses import LIKELY, SURE, Clause
from memfold.providers.entities import Entity, is_name, name_of, thing
from memfold.providers.phrases import after, objects
from memfold.providers.vocabulary import CONDITIONS, DIETS, FOODS, POSSESSIONS, PROFESSIONS, wordset

NOT_A_LIVING = wordset(
    """
    former retired aspiring future ex good great bad terrible horrible excellent decent awful favorite favourite
    """
)
EVERYBODY = frozenset({"everybody", "everyone", "people", "friends", "they"})
BESIDE_A_PROFESSION = frozenset({"compound", "amod", "nmod", "punct"})


def named(sentence: Span, first_person: str) -> Iterator[FoundRelation]:
    """ "My name is Alexander", "I'm Tom", "Call me Al"."""
    me = Entity(first_person, "PERSON")
    for token in sentence:
        relationship = None
        if token.dep_ == "attr" and _is_my_name(token):
            relationship = "HAS_NAME"
        elif token.dep_ == "oprd" and _is_call_me(token.head):
            relationship = "HAS_NICKNAME"
        if relationship is not None and token.pos_ == "PROPN":
            yield FoundRelation(me.name, relationship, name_of(token), me.type, "PERSON", SURE)


def profession(clause: Clause) -> Iterator[FoundRelation]:
    """ "I'm a nurse at Mercy Hospital", "I work as a chef", "I'm no longer a teacher"."""
    if not clause.holds:
        return
    words: list[Token] = []
    if clause.lemma == "be":
        words = [word for word in objects(clause.verb, "attr") if _is_profession(word)]
        for word in words:
            yield from _employed(clause, word)
    elif clause.lemma == "work":
        words = [word for word in after(clause.verb, "as") if word.pos_ == "NOUN"]
    elif clause.lemma in {"start", "begin"} and not clause.negated:
        words = [word for word in after(clause.verb, "as") if _is_profession(word)]
        for word in words:
            yield from _employed(clause, word)
    for word in words:
        if word.lemma_ != "student":
            yield from clause.relate("HAS_PROFESSION", Entity(_profession(word), "PROFESSION"))


def _employed(clause: Clause, word: Token) -> Iterator[FoundRelation]:
    """Where: "a nurse at Mercy Hospital", "a driver for BVG"; a student is not employed."""
    for preposition, others in (("at", {"PERSON", "DATE"}), ("for", {"PERSON", "GPE", "DATE"})):
        for company in after(word, preposition):
            if is_name(company) and company.ent_type_ not in others:
                relationship = "STUDIES_AT" if word.lemma_ == "student" else "WORKS_AT"
                yield from clause.relate(relationship, Entity(name_of(company), "COMPANY"))


def diet(clause: Clause) -> Iterator[FoundRelation]:
    """ "I'm vegetarian", "I'm not vegan anymore"."""
    if not clause.holds:
        return
    # In "I'm no longer vegetarian" the parser makes the diet itself the predicate.
    stated = objects(clause.verb, "acomp", "attr") if clause.lemma == "be" else iter([clause.verb])
    for word in stated:
        if word.lower_ in DIETS:
            yield from clause.relate("FOLLOWS_DIET", Entity(word.lower_, "THING"))


def allergic(clause: Clause) -> Iterator[FoundRelation]:
    """ "I'm allergic to peanuts and milk", "I have a peanut allergy", "I have an allergy to cats"."""
    if not clause.holds:
        return
    if clause.lemma == "be":
        for state in clause.verb.children:
            if state.lower_ == "allergic":
                # "to shellfish" is sometimes parsed as an infinitive.
                misread = (word for word in state.children if word.dep_ == "xcomp" and word.lemma_ in FOODS)
                for word in (*after(state, "to"), *misread):
                    yield from clause.relate("ALLERGIC_TO", thing(word))
    elif clause.lemma == "have":
        for word in objects(clause.verb):
            if word.lemma_.lower() == "allergy":
                causes = [child for child in word.children if child.dep_ == "compound"]
                for cause in (*causes, *after(word, "to")):
                    yield from clause.relate("ALLERGIC_TO", thing(cause))


def has(clause: Clause) -> Iterator[FoundRelation]:
    """ "I have two cats", "I've got diabetes"; only what is in the lists, for one can "have" anything."""
    if not (clause.lemma == "have" or clause.has_got) or not clause.holds:
        return
    for word in objects(clause.verb):
        lemma = word.lemma_.lower()
        if lemma in CONDITIONS or word.lower_ in CONDITIONS or _is_blood_pressure(word):
            yield from clause.relate("HAS_CONDITION", thing(word))
        elif lemma in POSSESSIONS and not any(c.dep_ == "appos" and is_name(c) for c in word.children):
            yield from clause.relate("HAS", thing(word), LIKELY)


def ill(clause: Clause) -> Iterator[FoundRelation]:
    """ "I was diagnosed with asthma", "I'm diabetic", "I've been lactose intolerant since 2010"."""
    if clause.negated or clause.modal:
        return
    if clause.lemma == "diagnose" and clause.verb.tag_ == "VBN":
        for word in after(clause.verb, "with"):
            yield from clause.relate("HAS_CONDITION", thing(word))
    if clause.lemma != "be" or not clause.present:
        return
    for state in objects(clause.verb, "acomp", "attr"):
        if state.lower_ in CONDITIONS:
            yield from clause.relate("HAS_CONDITION", Entity(state.lower_, "THING"))
        for word in (state, *state.children):
            if word.lower_ == "intolerant" and word.i > clause.verb.i + 1:
                named = word.doc[word.i - 1 : word.i + 1].text
                if word.nbor(-1).lower_ in FOODS:
                    yield from clause.relate("HAS_CONDITION", Entity(named, "THING"))


def _is_blood_pressure(word: Token) -> bool:
    beside = {child.lower_ for child in word.children}
    return word.lower_ == "pressure" and "blood" in beside and bool(beside & {"high", "low"})


def _is_call_me(verb: Token) -> bool:
    asked = verb.dep_ == "ROOT" and verb.lower_ == "call"
    called = (
        verb.lemma_ == "call"
        and verb.tag_ in {"VBP", "VBZ"}
        and any(child.dep_ == "nsubj" and child.lower_ in EVERYBODY for child in verb.children)
    )
    return (asked or called) and any(child.lower_ == "me" for child in verb.children)


def _is_my_name(token: Token) -> bool:
    verb = token.head
    if (
        verb.lemma_ != "be"
        or verb.tag_ == "VBD"
        or any(child.dep_ in {"neg", "aux"} for child in verb.children)
    ):
        return False
    subject = next((child for child in verb.children if child.dep_ == "nsubj"), None)
    if subject is None:
        return False
    if subject.lower_ == "name":
        return any(child.lower_ == "my" for child in subject.children)
    return subject.lower_ == "i" and token.ent_type_ == "PERSON"


def _is_profession(token: Token) -> bool:
    beside = {child.lower_ for child in token.children}
    owned = any(child.dep_ == "poss" for child in token.children)
    return token.lemma_.lower() in PROFESSIONS and not owned and not beside & NOT_A_LIVING


def _profession(token: Token) -> str:
    start = token
    for child in reversed(list(token.lefts)):
        if child.dep_ not in BESIDE_A_PROFESSION:
            break
        start = child.left_edge
    return str(token.doc[start.i : token.i + 1].text)
