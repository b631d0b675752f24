"""Likes and dislikes, wants and needs, favourites, and what is eaten, drunk, played, spoken or used."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacy.tokens import Span, Token

from memfold.memory.facts import FoundRelation
from memfold.memory.relating import LIKING
from memfold.providers.clauses import LIKELY, SURE, Clause
from memfold.providers.entities import Entity, is_name, thing
from memfold.providers.phrases import after, called, deed, objects, stands_alone
from memfold.providers.vocabulary import HABIT, TASTE, wordset

IDLE = re.compile(
    r"\b(?:maybe|perhaps|some ?day|one day|who (?:would|can|could|does)|in another life)", re.IGNORECASE
)
"""What makes "I'd love to" a dream and no wish."""
NOT_A_DEED = wordset(
    """
    be become do go get have make know ask see say tell hear talk understand try thank let
    """
)


def taste(clause: Clause) -> Iterator[FoundRelation]:
    """ "I love sushi", "I don't like opera", "I'd like a bike", "I enjoy playing the piano"."""
    relationship = TASTE.get(clause.lemma)
    if relationship is None or not (clause.holds or clause.modal in {"would", "'d"}):
        return
    if clause.modal and IDLE.search(clause.verb.sent.text):
        return
    if clause.modal and relationship in LIKING - {"PREFERS"}:
        relationship = "WANTS"
    if clause.negated and not clause.modal:
        if relationship not in LIKING:
            return
        relationship = "DISLIKES"
    elif clause.negated:
        return
    for target in _targets(clause.verb, relationship):
        yield from clause.relate(relationship, target, ends=clause.ended)


def cannot_stand(clause: Clause) -> Iterator[FoundRelation]:
    """ "I can't stand horror movies"."""
    if clause.negated and clause.lemma in {"stand", "bear"} and clause.modal in {"can", "ca"}:
        for word in objects(clause.verb):
            yield from clause.relate("HATES", thing(word), ends=False)


def fond_of(clause: Clause) -> Iterator[FoundRelation]:
    """ "I'm into chess", "I'm a fan of opera", "I'm fond of cats"."""
    if clause.lemma != "be" or not clause.holds:
        return
    targets = list(after(clause.verb, "into"))
    for word in clause.verb.children:
        if word.lower_ in {"fan", "fond", "lover"}:
            targets += after(word, "of")
    for target in targets:
        relationship = "DISLIKES" if clause.negated else "LIKES"
        yield from clause.relate(relationship, thing(target), ends=clause.ended)


def favourite(sentence: Span, first_person: str) -> Iterator[FoundRelation]:
    """ "My favourite colour is blue" and "Blue is my favourite colour"."""
    for word in sentence:
        verb = word.head
        if verb.lemma_ != "be" or verb.tag_ == "VBD" or not _is_my_favourite(word):
            continue
        kind = _kind(word)
        for other in verb.children:
            target = thing(other) if other.dep_ in {"attr", "acomp", "nsubj"} and other != word else None
            if target is not None and not any(child.dep_ == "neg" for child in verb.children):
                yield FoundRelation(
                    source=first_person,
                    relationship=f"FAVORITE_{kind}",
                    target=target.name,
                    source_type="PERSON",
                    target_type=target.type,
                    confidence=SURE,
                )


def habit(clause: Clause) -> Iterator[FoundRelation]:
    """ "I play the guitar", "I don't drink coffee anymore"."""
    relationship = HABIT.get(clause.lemma)
    if relationship is None or not clause.holds or (clause.verb.tag_ == "VBG" and not clause.ended):
        return
    for word in objects(clause.verb):
        yield from clause.relate(relationship, called(word) or thing(word), LIKELY)


def subscribes(clause: Clause) -> Iterator[FoundRelation]:
    """ "I have a subscription to Spotify", "I subscribe to Netflix", "I bank with Monzo"."""
    if not clause.holds or clause.verb.tag_ == "VBG":
        return
    words: list[Token] = []
    if clause.lemma == "have":
        for word in objects(clause.verb, "dobj"):
            words += after(word, "to") if word.lemma_ == "subscription" else []
    elif clause.lemma in {"subscribe", "bank"}:
        words += after(clause.verb, "to" if clause.lemma == "subscribe" else "with")
    for word in words:
        if is_name(word) and word.ent_type_ not in {"DATE", "TIME", "PERSON"}:
            yield from clause.relate("USES", thing(word), LIKELY)


def instead_of(clause: Clause) -> Iterator[FoundRelation]:
    """ "I drink tea instead of coffee": what the same verb's relation to the second was, ends."""
    relationship = TASTE.get(clause.lemma) or HABIT.get(clause.lemma)
    if relationship in {None, "WANTS", "NEEDS"} or not clause.holds or clause.negated:
        return
    for word in clause.verb.subtree:
        if word.lower_ == "instead" and word.i + 2 < len(word.doc) and word.nbor().lower_ == "of":
            yield from clause.relate(str(relationship), thing(_phrase_head(word.nbor(2))), LIKELY, ends=True)


def switched(clause: Clause) -> Iterator[FoundRelation]:
    """ "I switched from coffee to tea"; preferring for food and drink, else using."""
    if clause.lemma != "switch" or clause.modal or clause.negated:
        return
    for preposition, ends in (("to", False), ("from", True)):
        for word in after(clause.verb, preposition):
            target = thing(word)
            if target is not None:
                relationship = "PREFERS" if target.type in {"FOOD", "DRINK"} else "USES"
                yield from clause.relate(relationship, target, LIKELY, ends=ends)


def _targets(verb: Token, relationship: str) -> Iterator[Entity]:
    for word in objects(verb):
        target = thing(word, "ACTIVITY" if word.tag_ == "VBG" else None)
        if target is not None:
            yield target
    for word in verb.children:
        if word.dep_ == "xcomp" and word.lemma_.lower() not in NOT_A_DEED and relationship != "NEEDS":
            for each in (word, *word.conjuncts):
                if stands_alone(each):
                    yield Entity(deed(each), "ACTIVITY")


def _kind(word: Token) -> str:
    """ "FOOTBALL_CLUB" for "my favourite football club"."""
    before = [child.lemma_ for child in word.lefts if child.dep_ == "compound"]
    return re.sub(r"\W+", "_", " ".join((*before, word.lemma_))).upper().replace("COLOUR", "COLOR")


def _is_my_favourite(word: Token) -> bool:
    beside = {child.lower_ for child in word.children}
    return bool(beside & {"favourite", "favorite"}) and bool(beside & {"my", "our"})


def _phrase_head(token: Token) -> Token:
    """The noun of a phrase that starts here."""
    chunk = next((chunk for chunk in token.doc.noun_chunks if chunk.start <= token.i < chunk.end), None)
    return token if chunk is None else chunk.root
