"""What somebody studies or learns, and where."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Token

from memfold.memory.facts import FoundRelation
from memfold.providers.clauses import LIKELY, Clause
from memfold.providers.entities import Entity, is_name, name_of, thing
from memfold.providers.phrases import after, objects

SCHOOLS = frozenset({"school", "university", "college", "academy", "kindergarten", "gymnasium"})
DEGREES = frozenset(
    {"degree", "master", "masters", "bachelor", "phd", "doctorate", "mba", "ph.d.", "msc", "bsc"}
)
CLASSES = frozenset({"class", "course", "lesson"})
NO_SUBJECT = CLASSES | {"rope", "hard", "way"}
NAMING = frozenset({"amod", "compound", "nmod"})


def studies_at(clause: Clause) -> Iterator[FoundRelation]:
    """ "I study physics at MIT", "Ines goes to the French school"; not "goes to school", not a plan to go."""
    if not clause.holds:
        return
    if clause.lemma == "study":
        for word in after(clause.verb, "at"):
            if is_name(word):
                yield from clause.relate("STUDIES_AT", Entity(name_of(word), "COMPANY"))
    elif clause.lemma in {"go", "attend"} and clause.verb.tag_ in {"VBP", "VBZ"}:
        for word in objects(clause.verb) if clause.lemma == "attend" else after(clause.verb, "to"):
            yield from clause.relate("STUDIES_AT", _school(word), LIKELY)


def learns(clause: Clause) -> Iterator[FoundRelation]:
    """ "I'm learning Finnish", "I'm taking a course in law", "I'm doing a master's in biology at MIT"."""
    if clause.negated or not clause.holds or clause.verb.tag_ != "VBG":
        return
    if clause.lemma == "learn":
        for word in objects(clause.verb, "dobj"):
            if word.lemma_.lower() not in NO_SUBJECT:
                yield from clause.relate("STUDIES", thing(word), LIKELY)
    if clause.lemma not in {"take", "do", "pursue"}:
        return
    of = {word.lemma_.lower() for word in objects(clause.verb, "dobj")}
    if of & (DEGREES | CLASSES):
        for word in after(clause.verb, "in"):
            if word.ent_type_ not in {"GPE", "LOC", "DATE", "TIME"}:
                yield from clause.relate("STUDIES", thing(word))
    if of & DEGREES:
        for word in after(clause.verb, "at"):
            if is_name(word) and word.ent_type_ != "PERSON":
                yield from clause.relate("STUDIES_AT", Entity(name_of(word), "COMPANY"))


def _school(word: Token) -> Entity | None:
    """A school that is told from others: "the French school", "Lincoln High School"."""
    named = any(child.dep_ in NAMING for child in word.children)
    if word.lemma_.lower() not in SCHOOLS or not named:
        return None
    return Entity(name_of(word), "COMPANY") if word.pos_ == "PROPN" else thing(word, "COMPANY")
