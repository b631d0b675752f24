"""Whether a sentence says anything that could be remembered: not small talk, not praise for the other, not a bare question."""

from __future__ import annotations

from collections.abc import Collection

from spacy.tokens import Span, Token

from memfold.providers.clauses import SUBJECT, TELLING, THINKING
from memfold.providers.vocabulary import wordset

CHAT = wordset(
    """
    hi hello hey hiya howdy greetings morning afternoon evening night bye goodbye later soon tomorrow today thanks
    thank thx ty please welcome sorry pardon excuse yes yeah yep yup no nope nah ok okay k alright sure right exactly
    indeed absolutely definitely totally certainly agree disagree agreed wow oh ah uh um hmm haha lol lmao omg whoa
    aw aww gosh man dude buddy bud pal guy
    problem worry worries bet idea point thing stuff see know think guess suppose understand got get let meet talk
    chat catch sound look seem feel make have wait hold hear say tell day weekend week time luck fun help care much lot
    bit moment second minute sec way helpful appreciate mean try go come be do keep stay take give need want hope wish
    really very too so anyway btw congrats congratulations cheers kidding joke question answer deal news word stop
    true correct fair sense wrong support pic picture photo share end lately people
    long new like love work job best part great
    """
)
"""Lemmas that alone make small talk."""
PRAISE = wordset(
    """
    cool nice great good fine well awesome amazing wonderful fantastic perfect excellent lovely brilliant interesting
    funny glad happy bad sad sweet cute beautiful gorgeous stunning impressive inspiring incredible important special
    fun exciting excited thrilled proud pretty tough hard rough terrible awful horrible crazy kind thoughtful grateful
    thankful lucky neat rad super tasty delicious yummy relaxing peaceful fascinating inspired useful touching
    heartwarming big huge true worth
    """
)
"""Adjectives that say what one thinks of what was just said. A sentence of these and small talk is dropped."""
FEELING_FOR = wordset(
    """
    think hope bet know believe guess see love like appreciate wish admire suppose feel say hear thank
    glad happy proud sorry grateful thankful excited thrilled sure impressed
    """
)
"""What "I" am or do in "I'm glad you like it", "I love your painting", "I bet you'll win": it is about the other."""
ME = frozenset({"i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "im", "ive"})
YOU = frozenset({"you", "your", "yours", "yourself", "u", "ya", "ur"})


def worth_keeping(sentence: Span, called: Collection[str] = ()) -> bool:
    """False for greetings, thanks, small talk, praise, and questions or requests that tell nothing of the speaker.

    `called`: what the people in the conversation are called, in small letters; to be spoken to tells nothing.
    """
    if not any(_says_something(token, called) for token in sentence):
        return False
    if is_question(sentence):
        return any(_states(token) for token in sentence)
    if _is_about_you(sentence):
        return False
    return not _is_request(sentence) or any(token.lower_ in ME - {"me", "us"} for token in sentence)


def is_question(sentence: Span) -> bool:
    return bool(sentence.text.rstrip(" \"'”’)!").endswith("?"))


def _says_something(token: Token, called: Collection[str]) -> bool:
    if token.is_punct or token.is_space or token.pos_ == "INTJ" or not any(map(str.isalnum, token.text)):
        return False
    if token.is_stop or token.dep_ in {"intj", "vocative"} or _is_called(token, called):
        return False
    return not ({token.lower_, token.lemma_.lower()} & (CHAT | PRAISE))


def _is_called(token: Token, called: Collection[str]) -> bool:
    """By name or by its short form: "Mel" for Melanie. Only the name alone: a speaker's own dog may be called so too."""
    said = token.lower_
    return token.pos_ == "PROPN" and any(
        name == said or (len(said) > 2 and name.startswith(said)) for name in called
    )


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
