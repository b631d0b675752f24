"""Who somebody met, is married to, is a friend of or has as kin, and where those people belong."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Token

from memfold.memory.facts import FoundRelation
from memfold.providers.clauses import LIKELY, Clause
from memfold.providers.entities import Entity, is_name, kin_name, kin_type, name_of, with_conjuncts
from memfold.providers.phrases import after, objects
from memfold.providers.vocabulary import KIN

NOT_A_PERSON = frozenset({"DATE", "TIME", "LOC", "FAC", "EVENT", "LANGUAGE"})
SHARED = frozenset({"flat", "apartment", "house", "room", "office", "place"})


def met(clause: Clause) -> Iterator[FoundRelation]:
    """ "I met Sarah", "I met with Peter and Lisa"."""
    if clause.lemma == "meet" and clause.plain and not clause.negated and clause.verb.tag_ in {"VBD", "VBN"}:
        for word in (*objects(clause.verb), *after(clause.verb, "with")):
            yield from clause.relate("MET", _person(word))


def knows(clause: Clause) -> Iterator[FoundRelation]:
    """ "I know Tom from school"."""
    if clause.lemma == "know" and clause.plain and clause.present and not clause.negated:
        for word in objects(clause.verb):
            if word.ent_type_ == "PERSON":
                yield from clause.relate("KNOWS", _person(word), LIKELY)


def married(clause: Clause) -> Iterator[FoundRelation]:
    """ "I married Anna", "I'm married to Anna", "I divorced Anna"."""
    if clause.modal or clause.negated:
        return
    if clause.lemma in {"marry", "divorce"} and clause.verb.tag_ in {"VBD", "VBN"}:
        for word in (*objects(clause.verb), *after(clause.verb, "to")):
            yield from clause.relate("MARRIED_TO", _person(word), ends=clause.lemma == "divorce")
    elif clause.lemma in {"be", "get"} and clause.present:
        for state in clause.verb.children:
            if state.lower_ == "married" and state.dep_ == "acomp":
                for word in after(state, "to"):
                    yield from clause.relate("MARRIED_TO", _person(word))


def friends_with(clause: Clause) -> Iterator[FoundRelation]:
    """ "I'm friends with Tom"."""
    if clause.lemma == "be" and clause.holds:
        for word in objects(clause.verb, "attr"):
            if word.lower_ == "friends":
                for other in after(word, "with"):
                    yield from clause.relate("FRIEND_OF", _person(other))


def dates(clause: Clause) -> Iterator[FoundRelation]:
    """ "Tom is dating Anna"."""
    if clause.lemma == "date" and clause.holds and clause.verb.tag_ == "VBG":
        for word in objects(clause.verb, "dobj"):
            yield from clause.relate("HAS_PARTNER", _person(word))


def lives_with(clause: Clause) -> Iterator[FoundRelation]:
    """ "I live with Tom", "I share the flat with Yusuf and Chiara"."""
    if clause.negated or clause.ended or not clause.holds:
        return
    shared = clause.lemma == "share" and any(word.lemma_ in SHARED for word in objects(clause.verb, "dobj"))
    if clause.lemma == "live" or shared:
        for word in after(clause.verb, "with"):
            if word.ent_type_ != "ORG" and kin_name(word) is None:
                yield from clause.relate("KNOWS", _person(word), LIKELY)


def has_kin(clause: Clause) -> Iterator[FoundRelation]:
    """ "I have a sister named Maria", "I adopted a dog called Rex"."""
    gained = clause.lemma in {"adopt", "get"} and clause.plain and not clause.ended
    if clause.negated or not (gained or (clause.lemma == "have" and clause.holds)):
        return
    for word in objects(clause.verb):
        relationship = KIN.get(word.lemma_.lower())
        apposed = (child for child in word.children if child.dep_ == "appos" and is_name(child))
        names = [name for child in apposed for name in with_conjuncts(child)]
        several = len(names) > 1
        for child in word.children:
            if child.lower_ in {"named", "called"}:
                names += objects(child, "oprd", "dobj", "attr")
        for name in names:
            if relationship is not None:
                # "Two cats, Miso and Tofu": the tagger makes one name of both.
                called = name.text if several else name_of(name)
                yield from clause.relate(relationship, Entity(called, kin_type(word)), ends=clause.ended)


def _person(token: Token) -> Entity | None:
    """Somebody named where the sentence leaves no other reading than a person."""
    kin = kin_name(token)
    if kin is not None:
        return Entity(name_of(kin), kin_type(token))
    titled = token.ent_type_ != "PERSON" and any(child.dep_ == "det" for child in token.children)
    # A name that the tagger does not know counts as a noun to it, but keeps its capital.
    is_called = token.pos_ == "PROPN" or (
        token.pos_ == "NOUN" and token.text.istitle() and token.i > token.sent.start
    )
    if not is_called or token.ent_type_ in NOT_A_PERSON or titled:
        return None
    return Entity(name_of(token), "PERSON")
