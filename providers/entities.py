"""From a word of a parsed sentence to the entity that it names: the name as it was said, and a type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from spacy.tokens import Token

from memfold.providers.vocabulary import ANIMALS, DRINKS, FOODS, KIN, PROFESSIONS, TOO_VAGUE

FIRST_PERSON = frozenset({"i", "me", "my", "mine", "myself", "we", "us", "our"})
TYPE_OF_LABEL = {
    "PERSON": "PERSON",
    "ORG": "COMPANY",
    "GPE": "PLACE",
    "LOC": "PLACE",
    "FAC": "PLACE",
    "PRODUCT": "PRODUCT",
    "EVENT": "EVENT",
    "WORK_OF_ART": "WORK",
    "LANGUAGE": "LANGUAGE",
}
TITLES = frozenset({"dr", "mr", "mrs", "ms", "prof", "professor", "doctor"})
ROLES = frozenset(KIN) | PROFESSIONS
POINTING = frozenset({"this", "that", "these", "those", "such", "no", "same", "more", "another"})
OF_PEOPLE = frozenset({"work", "live", "study", "love", "hate", "enjoy", "prefer", "speak", "drink", "eat"})
"""What only people do: who does it is somebody, even if the tagger does not know the name."""
MEASURES = frozenset(
    {"bowl", "cup", "glass", "mug", "plate", "slice", "piece", "pair", "bottle", "pint", "splash", "bunch"}
)
INSIDE_A_NAME = frozenset({"compound", "amod", "nmod", "nummod", "punct", "poss", "case", "quantmod"})


class Entity(NamedTuple):
    """`which`: what tells it from others of its name: "sister" in "my sister Maria"."""

    name: str
    type: str
    which: str = ""


def is_name(token: Token) -> bool:
    """A proper noun, or part of what the tagger took for a named thing (not for a number or a date)."""
    return token.pos_ == "PROPN" or token.ent_type_ in TYPE_OF_LABEL


def is_me(token: Token) -> bool:
    return token.pos_ == "PRON" and token.lower_ in FIRST_PERSON


def with_conjuncts(token: Token) -> Iterator[Token]:
    """The word and those joined to it by "and" or "or"; what follows "but not" is left out."""
    yield token
    for other in token.conjuncts:
        joined_by = {child.lower_ for child in other.head.children if child.dep_ == "cc"}
        denied = any(child.dep_ == "neg" or child.lower_ == "not" for child in other.children)
        if other.i > token.i and not denied and not joined_by & {"of", "but", "not"}:
            yield other


def person(token: Token, first_person: str) -> Entity | None:
    """Who a subject or an object is, if it is "I", a named person, or "my sister Maria"; None for all others."""
    if is_me(token):
        return Entity(first_person, "PERSON")
    kin = kin_name(token)
    if kin is not None:
        return Entity(name_of(kin), kin_type(token), kin_word(token).lemma_.lower())
    acts = token.dep_ == "nsubj" and token.head.lemma_.lower() in OF_PEOPLE
    if (
        token.pos_ == "PROPN"
        and (token.ent_type_ == "PERSON" or (acts and not token.ent_type_))
        and not _denied(token)
    ):
        return Entity(name_of(token), "PERSON")
    return None


def kin_name(token: Token) -> Token | None:
    """The name in "my sister Maria", "our vet Dr. Lee", however the parser joined the two; None without a name or "my"."""
    if token.lemma_.lower() in ROLES and is_mine(token):
        apposed = [child for child in token.children if child.dep_ == "appos"]
        named = next((child for child in apposed if is_name(child) or _is_behind(child, token)), None)
        named = named or _misread_name(token)
        # In "I bought my accountant Excel" nobody is called Excel; whom one is related to has a name in any tongue.
        alien = (
            named is not None and token.lemma_.lower() not in KIN and named.ent_type_ not in {"PERSON", ""}
        )
        return None if alien else named
    dated = token.ent_type_ == "DATE" or token.dep_ == "compound"
    if token.pos_ == "PROPN" and not dated and is_mine(token) and kin_word(token) != token:
        return token
    return None


def _is_behind(name: Token, role: Token) -> bool:
    """ "My cat Miso": what stands right behind with a capital is a name, though the tagger takes it for a plural."""
    return name.i == role.i + 1 and name.text[:1].isupper() and name.ent_type_ not in {"DATE", "TIME"}


def _misread_name(token: Token) -> Token | None:
    """The name right behind, where the parser took "my dentist Maria" for two subjects, or for two clauses.

    Not behind an object: in "I told my sister Maria is late" the sister need not be Maria.
    """
    after = token.nbor() if token.i + 1 < len(token.doc) else None
    if after is None or not after.text[:1].isupper() or after.pos_ not in {"PROPN", "NOUN"}:
        return None
    if after.ent_type_ in {"DATE", "TIME"}:
        return None
    joined = after.pos_ == "PROPN" and (after.head, after.dep_) == (token.head, token.dep_)
    subject = after.dep_ in {"nsubj", "nsubjpass"} and token.dep_ not in {"dobj", "dative", "pobj"}
    return after if joined or subject else None


def kin_word(token: Token) -> Token:
    """The word that says the kinship: "sister" for both "sister" and "Maria" of "my sister Maria"."""
    before = (child for child in token.children if child.dep_ in {"compound", "nmod", "amod"})
    return next((child for child in before if child.lemma_.lower() in ROLES), token)


def kin_type(token: Token) -> str:
    return "ANIMAL" if KIN.get(kin_word(token).lemma_.lower()) == "HAS_PET" else "PERSON"


def thing(token: Token, expected: str | None = None) -> Entity | None:
    """What an object is, if it can stand alone; None for "it", "your idea", "this", "the way you talk".

    `expected` is the type that the sentence's form implies; it wins over what the tagger thinks of the name.
    """
    if is_name(token):
        return Entity(name_of(token), expected or TYPE_OF_LABEL.get(token.ent_type_, "THING"))
    if token.pos_ not in {"NOUN", "ADJ", "VERB", "X"} and not token.tag_.startswith("NN"):
        return None
    if token.lemma_.lower() in TOO_VAGUE or token.ent_type_ in {"DATE", "TIME"} or _depends_on_context(token):
        return None
    if token.lemma_.lower() in MEASURES:
        of = next((child for child in token.children if child.lower_ == "of"), None)
        measured = (
            next((child for child in of.children if child.dep_ == "pobj"), None) if of is not None else None
        )
        if measured is not None:
            return thing(measured, expected)
    return Entity(_noun_phrase(token), expected or _type_of_noun(token))


def name_of(token: Token) -> str:
    """The whole name around a word: the tagger's span if it has one, else the adjacent proper nouns."""
    span = next((span for span in token.doc.ents if span.start <= token.i < span.end), None)
    start, end = (span.start, span.end) if span is not None else (token.left_edge.i, token.i + 1)
    words = list(token.doc[start:end])
    if span is not None:
        words = [*_before_the_tagged(words[0], span.label_), *words]
    after = words[-1].nbor() if end < len(token.doc) else None
    if after is not None and after.dep_ == "nummod" and after.head in words:
        words.append(after)
    while len(words) > 1 and (words[0].dep_ in {"det", "poss"} or words[0].lemma_.lower() in ROLES - TITLES):
        words.pop(0)
    while len(words) > 1 and (words[-1].tag_ == "POS" or words[-1].is_punct):
        words.pop()
    return token.doc[words[0].i : words[-1].i + 1].text


def _before_the_tagged(first: Token, label: str) -> list[Token]:
    """What the tagger cuts off: "Dr." of "Dr. Lee", "Tesla" of "Tesla Model 3"."""
    before = first.nbor(-1) if first.i else None
    if before is None or before.pos_ != "PROPN":
        return []
    titled = label == "PERSON" and before.lower_.rstrip(".") in TITLES
    branded = label == "PRODUCT" and before.dep_ == "compound" and before.ent_type_ == "ORG"
    return [before] if titled or branded else []


def _noun_phrase(token: Token) -> str:
    start = token
    for child in reversed(list(token.lefts)):
        if child.dep_ not in INSIDE_A_NAME or child.tag_ == "PRP$" or child.pos_ == "DET":
            break
        start = child.left_edge
    of = next((child for child in token.rights if child.lower_ == "of" and child.i == token.i + 1), None)
    end = of.right_edge if of is not None and any(of.children) else token
    return str(token.doc[start.i : end.i + 1].text)


def _type_of_noun(token: Token) -> str:
    lemma = token.lemma_.lower()
    if lemma in DRINKS:
        return "DRINK"
    if lemma in FOODS:
        return "FOOD"
    return "ANIMAL" if lemma in ANIMALS else "THING"


def _depends_on_context(token: Token) -> bool:
    for child in token.children:
        if child.dep_ in {"relcl", "acl"} or (child.dep_ == "poss" and child.lower_ not in {"my", "our"}):
            return True
        if child.i < token.i and child.lower_ in POINTING:
            return True
    return False


def is_mine(token: Token) -> bool:
    return any(child.dep_ == "poss" and child.lower_ in {"my", "our"} for child in token.children)


def _denied(token: Token) -> bool:
    return any(child.lower_ in {"not", "no", "neither", "nor"} for child in token.children)
