"""What is told in passing, wherever in a sentence it stands: "my sister Maria", "Sarah from Google"."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Span, Token

from memfold.memory.facts import FoundRelation
from memfold.providers.clauses import LIKELY, SURE
from memfold.providers.entities import ROLES, is_mine, kin_name, kin_type, kin_word, name_of
from memfold.providers.phrases import after
from memfold.providers.vocabulary import CONDITIONS, KIN, wordset

NOT_A_PERSON = frozenset({"DATE", "TIME", "GPE", "LOC", "FAC", "NORP", "EVENT", "WORK_OF_ART", "LANGUAGE"})
FORMER = frozenset({"former", "old", "ex", "previous", "last", "first", "future", "next"})
GONE = frozenset({"gone", "cured", "over", "longer", "anymore", "stopped"})
FAVOURITE = frozenset({"favourite", "favorite"})
AMONG_PEOPLE = wordset(
    """
    meet know talk speak chat work call see befriend marry introduce visit
    """
)


def kin(sentence: Span, first_person: str) -> Iterator[FoundRelation]:
    """ "my sister Maria", "my sister is Maria", "Maria isn't my sister", "Rex, our dog", "our vet is Dr. Lee"."""
    for token in sentence:
        named = kin_name(token) or _apposed(token)
        names = [(named, False)] if named is not None else list(_said_to_be(token))
        for name, denied in names:
            word = kin_word(token).lemma_.lower()
            role = _role(token, word)
            if role == "HAS_PROFESSION":
                yield FoundRelation(
                    name_of(name), role, word, "PERSON", "PROFESSION", SURE, ends=denied, source_which=word
                )
                continue
            yield FoundRelation(
                source=first_person,
                relationship=role,
                target=name_of(name),
                source_type="PERSON",
                target_type=kin_type(token),
                confidence=SURE,
                ends=denied,
                target_which=word,
            )


def _role(token: Token, word: str) -> str:
    """What "my <word>" is to the speaker; a word that is no kin tells what the other does: "my lawyer Ana"."""
    if word not in KIN:
        return "HAS_PROFESSION"
    return "KNOWS" if _is_academic(token) else KIN[word]


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


def works_with(sentence: Span, first_person: str) -> Iterator[FoundRelation]:
    """ "Ravi is my manager at Infosys": I work there; not of "my former boss at", nor of what was."""
    for token in sentence:
        role = KIN.get(token.lemma_.lower())
        if role not in {"HAS_MANAGER", "HAS_COLLEAGUE"} or not is_mine(token) or _is_over(token):
            continue
        for company in after(token, "at"):
            if company.ent_type_ == "ORG" and company.pos_ == "PROPN":
                yield FoundRelation(first_person, "WORKS_AT", name_of(company), "PERSON", "COMPANY", LIKELY)


def my_condition(sentence: Span, first_person: str) -> Iterator[FoundRelation]:
    """ "I use an inhaler for my asthma"; not of a past one, nor of one that is gone."""
    if sentence.text.rstrip().endswith("?") or '"' in sentence.text:
        return
    if any(word.lower_ in GONE for word in sentence):
        return
    for token in sentence:
        mine = token.lower_ in CONDITIONS and token.pos_ in {"NOUN", "PROPN"} and is_mine(token)
        if mine and not _is_over(token):
            yield FoundRelation(first_person, "HAS_CONDITION", token.lower_, "PERSON", "THING", LIKELY)


def _is_over(token: Token) -> bool:
    """A "former" one, or one that is told of in the past or is denied."""
    if any(child.lower_ in FORMER for child in token.children):
        return True
    verb = token
    while verb.pos_ not in {"VERB", "AUX"} and verb.dep_ != "ROOT":
        verb = verb.head
    past = any(word.tag_ in {"VBD", "MD"} for word in (verb, *verb.children))
    return past or any(child.dep_ == "neg" for child in verb.children)


def _apposed(token: Token) -> Token | None:
    """The name that a role explains: "Rex, our dog"."""
    explains = token.dep_ == "appos" and token.lemma_.lower() in ROLES and is_mine(token)
    return token.head if explains and token.head.pos_ == "PROPN" else None


def _said_to_be(token: Token) -> Iterator[tuple[Token, bool]]:
    """The names that a role is said to have, or not to have, by "is", "is called" or "'s name is"."""
    if token.lemma_.lower() not in ROLES or any(child.lower_ in FAVOURITE for child in token.children):
        return
    by_name = token.dep_ == "poss" and token.head.lower_ == "name"
    # "The doorman's name is Hassan" tells what Hassan does; "the doctor's" not whose doctor it is.
    the_one = by_name and token.lemma_.lower() not in KIN and any(c.lower_ == "the" for c in token.children)
    if not (is_mine(token) or the_one):
        return
    subject = token.head if by_name else token
    verb = subject.head
    if verb.lemma_ not in {"be", "call", "name"} or (verb.lemma_ == "be" and verb.tag_ == "VBD"):
        return
    # "My son is Madrid" is no name, "my son is called Paris" is one.
    others = {"DATE"} if verb.lemma_ in {"call", "name"} else {"NORP", "GPE", "DATE"}
    wanted = {"attr", "oprd"} if subject.dep_ in {"nsubj", "nsubjpass"} else {"nsubj"}
    denied = any(child.dep_ == "neg" and child.i < verb.i + 3 for child in verb.children)
    for child in verb.children:
        if child.dep_ in wanted and child.pos_ == "PROPN" and child.ent_type_ not in others:
            yield child, denied


def _is_academic(token: Token) -> bool:
    """ "My thesis supervisor" is not whom one works for."""
    return any(child.lower_ in {"thesis", "phd", "dissertation", "academic"} for child in token.children)


def _is_among_people(token: Token) -> bool:
    verb = token
    while verb.pos_ not in {"VERB", "AUX"} and verb.dep_ != "ROOT":
        if verb.dep_ in {"nsubj", "nsubjpass"}:
            return True
        verb = verb.head
    return verb.lemma_.lower() in AMONG_PEOPLE
