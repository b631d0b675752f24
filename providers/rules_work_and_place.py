"""Where somebody works, studies, lives and comes from, and what has changed there."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Token

from memfold.memory.facts import FoundRelation
from memfold.providers.clauses import LIKELY, Clause
from memfold.providers.entities import Entity, is_name, name_of, thing
from memfold.providers.phrases import after, objects

NOT_A_COMPANY = frozenset({"PERSON", "DATE", "TIME", "LANGUAGE", "WORK_OF_ART"})
DWELLINGS = frozenset({"house", "flat", "apartment", "studio", "cottage", "room", "villa", "home", "condo"})
JOB = frozenset({"job", "position", "role", "offer", "internship"})


def works_at(clause: Clause) -> Iterator[FoundRelation]:
    """ "I work at Google", "I've worked for IBM since 2010", "I got a job at Spotify", "I joined OpenAI"."""
    verb = clause.verb
    if clause.lemma == "work" and clause.holds and (verb.tag_ != "VBN" or _lasts(verb)):
        for word in after(verb, "at", "for", "with" if clause.ended else "at"):
            yield from clause.relate("WORKS_AT", _company(word, strict=False))
    if clause.negated or clause.modal or clause.verb.tag_ == "VB":
        return
    if clause.lemma in {"get", "start", "accept", "land", "take"} and any(
        word.lemma_ in JOB for word in objects(verb)
    ):
        for word in after(verb, "at", "with"):
            yield from clause.relate("WORKS_AT", _company(word, strict=False))
    if clause.lemma == "employ" and clause.present:
        for agent in verb.children:
            for word in objects(agent, "pobj") if agent.dep_ == "agent" else ():
                if is_name(word):
                    yield from clause.relate("WORKS_AT", Entity(name_of(word), "COMPANY"))
    if clause.lemma == "join":
        for word in objects(verb):
            yield from clause.relate("WORKS_AT", _company(word, strict=True), LIKELY)


def left_work(clause: Clause) -> Iterator[FoundRelation]:
    """ "I left Google", "I quit my job at Amazon", "I resigned from IBM", "I was laid off from Meta"."""
    if clause.negated or clause.modal or clause.verb.tag_ not in {"VBD", "VBN"}:
        return
    companies: list[Entity | None] = []
    if clause.lemma in {"leave", "quit"}:
        companies += (_company(word, strict=True) for word in objects(clause.verb))
        companies += (
            _company(word, strict=False) for word in after(clause.verb, "at") if _has_job(clause.verb)
        )
    elif clause.lemma in {"resign", "retire", "fire", "lay"}:
        companies += (_company(word, strict=False) for word in after(clause.verb, "from", "at"))
    for company in companies:
        yield from clause.relate("WORKS_AT", company, ends=True)


def lives_in(clause: Clause) -> Iterator[FoundRelation]:
    """ "I live in Oslo", "I'm based in Rome", "I used to live in Paris", "We live in a flat in Leeds"."""
    if (clause.lemma in {"live", "reside"} or clause.verb.lower_ == "based") and clause.holds:
        for word in after(clause.verb, "in"):
            for place in after(word, "in") if word.lemma_.lower() in DWELLINGS else [word]:
                yield from clause.relate("LIVES_IN", _dwelt_in(place))


def moved(clause: Clause) -> Iterator[FoundRelation]:
    """ "I moved from Oslo to Bergen": lives in the second, no longer in the first."""
    if clause.lemma in {"move", "relocate"} and not clause.modal and clause.verb.tag_ in {"VBD", "VBN"}:
        if clause.negated:
            return
        for preposition, ends in (("to", False), ("from", True)):
            for word in after(clause.verb, preposition):
                yield from clause.relate("LIVES_IN", _place(word), ends=ends)


def comes_from(clause: Clause) -> Iterator[FoundRelation]:
    """ "I'm from Norway", "I was born in Madrid", "I grew up in Trondheim"."""
    if clause.negated or clause.modal:
        return
    for lemma, preposition, relationship in (
        ("be", "from", "COMES_FROM"),
        ("come", "from", "COMES_FROM"),
        ("bear", "in", "BORN_IN"),
        ("grow", "in", "GREW_UP_IN"),
    ):
        if clause.lemma == lemma and (lemma not in {"be", "come"} or clause.present):
            for word in after(clause.verb, preposition):
                place = _place(word) if preposition == "from" else _dwelt_in(word)
                yield from clause.relate(relationship, place)


def _company(token: Token, strict: bool) -> Entity | None:
    """A named organisation. `strict`: the tagger must say so; else "work at X" says it, unless X is a person."""
    if not is_name(token) or (token.ent_type_ != "ORG" if strict else token.ent_type_ in NOT_A_COMPANY):
        return None
    return Entity(name_of(token), "COMPANY")


def _place(token: Token) -> Entity | None:
    return thing(token, "PLACE") if is_name(token) and token.ent_type_ not in NOT_A_COMPANY else None


def _dwelt_in(token: Token) -> Entity | None:
    """What one lives or is born in is a place, even if the tagger takes its name for a person's."""
    return Entity(name_of(token), "PLACE") if token.ent_type_ == "PERSON" else _place(token)


def _lasts(verb: Token) -> bool:
    """ "have worked there for three years" holds today; "have worked there" may be long ago."""
    return any(child.dep_ == "prep" and child.lower_ in {"for", "since"} for child in verb.children)


def _has_job(verb: Token) -> bool:
    return any(word.lemma_ in JOB for word in objects(verb))
