"""Whether a sentence says anything that could be remembered: not small talk, not praise for the other, not a bare question."""

from __future__ import annotations

import re
from collections.abc import Collection

from spacy.tokens import Span, Token

from memfold.providers.clauses import SUBJECT, TELLING, THINKING
from memfold.providers.small_talk import CHAT, FEELING_FOR, PRAISE
from memfold.providers.telling import tells
from memfold.providers.vocabulary import wordset

LAUGHTER = re.compile(
    r"(?:a*h+a+(?:h+a*)*|h+e+(?:h+e*)+|lo+l+|(?:x|:|;|=)['-]?[dpo)(]+|[^\w\s]+|woo+|a+w+|y+a+y+|m+h*m+)",
    re.IGNORECASE,
)
"""A word that is only a sound or a face."""
FACE = re.compile(
    "[\U0001f600-\U0001f64f\U0001f923-\U0001f92f\U0001f970-\U0001f97a]|[:;=]['-]?[dpo)]", re.IGNORECASE
)
THANKS = frozenset({"thanks", "thank", "thx", "cheers", "ty"})
STRETCHED = re.compile(r"(\w)\1{2,}")
UNREAL = frozenset({"would", "'d", "’d"})
LEFT_OPEN = frozenset({"might", "may", "could"})
RUMOUR = wordset("supposedly apparently reportedly allegedly rumour rumor somewhere")
ANYBODY = wordset("they people someone somebody everyone everybody critics experts folks")
SUPPOSING = frozenset({"imagine", "suppose", "wish", "say"})
ME = frozenset({"i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "im", "ive"})
YOU = frozenset({"you", "your", "yours", "yourself", "u", "ya", "ur"})


def worth_keeping(sentence: Span, called: Collection[str] = ()) -> bool:
    """False for greetings, thanks, small talk, praise, and questions or requests that tell nothing of the speaker.

    `called`: what the people in the conversation are called, in small letters; to be spoken to tells nothing.
    """
    return may_be_worth_keeping(sentence, called) and (is_question(sentence) or tells(sentence, called))


def may_be_worth_keeping(sentence: Span, called: Collection[str] = ()) -> bool:
    """False for what is surely talk by its words or by its form; the signs of the sentence decide about the rest."""
    if not any(_says_something(token, called) for token in sentence):
        return False
    if is_left_open(sentence) or _is_aside(sentence):
        return False
    if is_question(sentence):
        return any(_states(token) for token in sentence)
    if _is_about_you(sentence):
        return False
    return not _is_request(sentence) or any(token.lower_ in ME - {"me", "us"} for token in sentence)


def is_left_open(sentence: Span) -> bool:
    """Supposed, wished or told by anybody: "Imagine we lived on Mars", "I might go some day", "They say that …"."""
    root = sentence.root
    lemma, children = root.lemma_.lower(), list(root.children)
    subjects = {child.lower_ for child in children if child.dep_ in SUBJECT}
    if lemma in SUPPOSING - {"say"} and (subjects <= {"i", "we"}):
        return True
    if any(token.lower_ == "if" for token in sentence) and any(token.lower_ in UNREAL for token in sentence):
        return True
    if lemma in {"say", "read", "hear", "claim", "tell"} and any(child.dep_ == "ccomp" for child in children):
        heard = (lemma in {"read", "hear"} and subjects <= {"i", "we"}) or lemma == "claim"
        return heard or bool(subjects & ANYBODY)
    if any(token.lower_ in RUMOUR for token in sentence):
        return True
    modal = next((child.lower_ for child in children if child.tag_ == "MD"), "")
    polite = modal in UNREAL and lemma in {"like", "prefer", "rather"}
    # "Injera is the best thing ever, I could eat it every day": what stands first is told as it is.
    told = any(child.dep_ == "ccomp" and child.i < root.i for child in children)
    return modal in LEFT_OPEN | UNREAL and not polite and not told


def is_question(sentence: Span) -> bool:
    return bool(sentence.text.rstrip(" \"'”’)!").endswith("?"))


def _says_something(token: Token, called: Collection[str]) -> bool:
    if token.is_punct or token.is_space or token.pos_ == "INTJ" or not any(map(str.isalnum, token.text)):
        return False
    if (
        (token.is_stop and token.pos_ != "NOUN")
        or token.dep_ in {"intj", "vocative"}
        or _is_called(token, called)
    ):
        return False
    plain = STRETCHED.sub(r"\1", token.lower_)
    if LAUGHTER.fullmatch(token.lower_) or LAUGHTER.fullmatch(plain):
        return False
    if token.vocab[plain].is_stop and token.pos_ != "NOUN":
        return False
    return not {token.lower_, plain, token.lemma_.lower()} & (CHAT | PRAISE)


def _is_called(token: Token, called: Collection[str]) -> bool:
    """By name or by its short form: "Mel" for Melanie. Only the name alone: a speaker's own dog may be called so too."""
    said = token.lower_
    return token.pos_ == "PROPN" and any(
        name == said or (len(said) > 2 and name.startswith(said)) for name in called
    )


def _is_aside(sentence: Span) -> bool:
    """Thanks or laughter, and nothing of oneself: "maybe later, thanks!", "I'm dying 😂"."""
    words = [token for token in sentence if any(map(str.isalnum, token.text))]
    thanks = any(token.lower_ in THANKS for token in words) and not any(token.lower_ in ME for token in words)
    laughs = any(
        token.lower_ in {"lol", "lmao", "haha", "hehe"} or FACE.search(token.text) for token in sentence
    )
    names = any(token.pos_ in {"PROPN", "NUM", "NOUN"} for token in words)
    return thanks or (laughs and len(words) <= 5 and not names)


def _is_about_you(sentence: Span) -> bool:
    """Praise, comfort and advice for the listener: "You've got guts", "I'm glad you came", "I love your painting"."""
    addressed = [token for token in sentence if token.lower_ in YOU]
    if not addressed or any(token.lemma_.lower() in TELLING - {"tell", "forget"} for token in sentence):
        return False
    mine = [token for token in sentence if token.lower_ in ME]
    return all(_feels_for_you(token, addressed) for token in mine)


def _feels_for_you(me: Token, addressed: list[Token]) -> bool:
    verb = me.head
    if me.dep_ not in SUBJECT:
        return False
    words = {
        verb.lemma_.lower(),
        *(child.lemma_.lower() for child in verb.children if child.dep_ in {"acomp", "attr"}),
    }
    return bool(words & FEELING_FOR) and any(verb.is_ancestor(you) for you in addressed)


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
