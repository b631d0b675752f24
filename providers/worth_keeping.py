"""Whether a sentence says anything that could be remembered; when in doubt, it does."""

from __future__ import annotations

from spacy.tokens import Span, Token

from memfold.providers.clauses import SUBJECT, TELLING, THINKING
from memfold.providers.vocabulary import wordset

CHAT = wordset(
    """
    hi hello hey hiya howdy greetings morning afternoon evening night bye goodbye later soon tomorrow today thanks
    thank thx ty please welcome sorry pardon excuse yes yeah yep yup no nope nah ok okay k alright sure right exactly
    indeed absolutely definitely totally certainly agree disagree agreed wow oh ah uh um hmm haha lol lmao omg cool
    nice great good fine well awesome amazing wonderful fantastic perfect excellent lovely brilliant interesting funny
    glad happy bad wrong true correct fair sense problem worry worries bet idea point thing see know think guess
    suppose understand got get let meet talk chat sound look make have wait hold hear say welcome day weekend week
    time luck fun help care much lot bit moment second minute sec way help helpful appreciate mean try go come be do
    really very too anyway btw congrats congratulations cheers kidding joke
    """
)
"""Lemmas that alone make small talk. A sentence of nothing else and stop words is dropped."""


def worth_keeping(sentence: Span) -> bool:
    """False for greetings, thanks, small talk, questions and requests that tell nothing of the speaker."""
    if not any(_says_something(token) for token in sentence):
        return False
    if sentence.text.rstrip(" \"'”’)").endswith("?"):
        return any(_states(token) for token in sentence)
    return not _is_request(sentence) or any(token.lower_ in {"i", "my", "we", "our"} for token in sentence)


def _says_something(token: Token) -> bool:
    if token.is_punct or token.is_space or token.pos_ == "INTJ" or not any(map(str.isalnum, token.text)):
        return False
    return not (token.is_stop or token.lower_ in CHAT or token.lemma_.lower() in CHAT)


def _states(token: Token) -> bool:
    """ "I" in a clause that is not itself asked: "Did you know I moved?", but not "Do I like tea?"."""
    verb = token.head
    if token.lower_ not in {"i", "we"} or token.dep_ not in SUBJECT:
        return False
    for child in verb.children:
        inverted = child.dep_ in {"aux", "auxpass"} and child.i < token.i
        if inverted or child.tag_ == "MD" or child.lower_ in {"if", "whether"} or child.tag_.startswith("W"):
            return False
    return verb.i > token.i and verb.lemma_ not in THINKING and verb.head.lemma_ not in THINKING - {"wonder"}


def _is_request(sentence: Span) -> bool:
    """An order to the listener: "Tell me a joke", "Please summarise this"; not "Remember that ..."."""
    root = sentence.root
    if root.tag_ != "VB" or root.lemma_.lower() in TELLING - {"tell"}:
        return False
    return not any(child.dep_ in {*SUBJECT, "aux", "expl"} for child in root.children)
