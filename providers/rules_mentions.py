"""What is told in passing, wherever in a sentence it stands: "my sister Maria", "Sarah from Google"."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Span, Token

from memfold.memory.facts import FoundRelation
from memfold.providers.clauses import LIKELY, SURE
from memfold.providers.entities import kin_name, kin_type, kin_word, name_of
from memfold.providers.vocabulary import KIN, wordset

MY = frozenset({"my", "our"})
NOT_A_PERSON = frozenset({"DATE", "TIME", "GPE", "LOC", "FAC", "NORP", "EVENT", "WORK_OF_ART", "LANGUAGE"})
AMONG_PEOPLE = wordset(
    """
    meet know talk speak chat work call see befriend marry introduce visit
    """
)


def kin(sentence: Span, first_person: str) -> Iterator[FoundRelation]:
    """ "my sister Maria", "my sister is Maria", "Maria is my sister", "my dog's name is Rex"."""
    for token in sentence:
        named = kin_name(token)
        names = [named] if named is not None else list(_said_to_be(token))
        for name in names:
            word = kin_word(token)
            yield FoundRelation(
                source=first_person,
                relationship=KIN[word.lemma_.lower()],
                target=name_of(name),
                source_type="PERSON",
                target_type=kin_type(token),
                confidence=SURE,
                target_which=word.lemma_.lower(),
            )


def belongs_to(sentence: Span, first_person: str) -> Iterator[FoundRelation]:
    """ "I met Sarah from Google": Sarah works there; "I met Sarah from Oslo": she comes from there.

    Only where somebody meets, knows or talks, or for the subject: in "a gift for Sarah from Amazon" nobody
    works at Amazon.
    """
    for token in sentence:
        if token.pos_ != "PROPN" or token.i + 1 >= sentence.end or token.nbor().lower_ != "from":
            continue
        origin = next((child for child in token.nbor().children if child.dep_ == "pobj"), None)
        if origin is None or not _is_among_people(token):
            continue
        # Whom one meets is a person, even if the tagger takes the name for a place.
        if token.ent_type_ in NOT_A_PERSON and (token.ent_type_ != "GPE" or token.dep_ != "dobj"):
            continue
        relationship, kind = ("WORKS_AT", "COMPANY") if origin.ent_type_ == "ORG" else ("COMES_FROM", "PLACE")
        if origin.ent_type_ in {"ORG", "GPE"}:
            yield FoundRelation(
                source=name_of(token),
                relationship=relationship,
                target=name_of(origin),
                source_type="PERSON",
                target_type=kind,
                confidence=LIKELY,
            )


def _said_to_be(token: Token) -> Iterator[Token]:
    """The names that a kin word is said to have by "is", "is called" or "'s name is"."""
    if token.lemma_.lower() not in KIN or not any(child.lower_ in MY for child in token.children):
        return
    subject = token.head if token.dep_ == "poss" and token.head.lower_ == "name" else token
    verb = subject.head
    if verb.lemma_ not in {"be", "call", "name"} or any(child.dep_ == "neg" for child in verb.children):
        return
    wanted = {"attr", "oprd"} if subject.dep_ in {"nsubj", "nsubjpass"} else {"nsubj"}
    for child in verb.children:
        if child.dep_ in wanted and child.pos_ == "PROPN" and child.ent_type_ not in {"NORP", "GPE", "DATE"}:
            yield child


def _is_among_people(token: Token) -> bool:
    verb = token
    while verb.pos_ not in {"VERB", "AUX"} and verb.dep_ != "ROOT":
        if verb.dep_ in {"nsubj", "nsubjpass"}:
            return True
        verb = verb.head
    return verb.lemma_.lower() in AMONG_PEOPLE
