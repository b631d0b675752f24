"""What can be seen of a sentence that tells facts from talk: who it is about, when, in which mood, and how much it says.

Each sign has a name that a reader of `telling.json` understands; how much one counts is found by `benchmarks/telling.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from spacy.tokens import Span, Token

from memfold.providers.clauses import SUBJECT, THINKING
from memfold.providers.small_talk import CHAT, PRAISE
from memfold.providers.vocabulary import wordset

BY_WORD = {
    "I": wordset("i we im ive"),
    "my": wordset("my our mine ours"),
    "you": wordset("you your yours yourself u ya ur"),
    "he or she": wordset("he she they his her their him them"),
    "hedge": wordset(
        "maybe perhaps probably someday might imagine suppose wish guess hopefully whatever somehow"
    ),
    "rumour": wordset(
        """
        supposedly apparently reportedly allegedly rumour rumor claim claims reviews critics people someone somebody some experts
        """
    ),
    "habit": wordset(
        """
        every each always usually never often daily weekly monthly mostly twice only originally already still anymore now since
        """
    ),
    "of the day": wordset("today tonight morning again moment"),
    "polite": wordset("please pls thanks thank thx cheers sorry ta welcome"),
    "interjection": wordset(
        """
        haha hahaha hehe lol lmao omg wow whoa yay ugh phew aw aww awww mmm yum ooh ohh oh ah hm hmm ha hey hi hello woohoo ok okay
        """
    ),
    "if": wordset("if whether"),
}
"""Signs that one of these words gives, wherever it stands."""
GENERIC = wordset("it this that there these those")
QUESTION_WORDS = wordset("what how which who why where when")
STATES = wordset("be have own live work like love hate prefer need know use speak want play drive study")
NAMES = wordset("PERSON ORG GPE LOC FAC PRODUCT WORK_OF_ART NORP EVENT LANGUAGE")
PUNCTUATION = "…’‘“”–—"


def signs(sentence: Span, called: Collection[str] = ()) -> frozenset[str]:
    """The names of the signs that a sentence shows. `called`: names of those who talk, in small letters, which tell nothing."""
    return frozenset((*_words(sentence, called), *_look(sentence), *_predicate(sentence)))


def _words(sentence: Span, called: Collection[str]) -> Iterator[str]:
    words = [token for token in sentence if token.is_alpha or token.like_num or token.pos_ == "PROPN"]
    said = {token.lower_ for token in words}
    yield from (sign for sign, triggers in BY_WORD.items() if not said.isdisjoint(triggers))
    content = [token for token in words if _says(token, called)]
    yield f"content words: {len(content) if len(content) < 4 else '4 or more'}"
    if len(words) <= 4:
        yield "at most 4 words"
    kinds = {token.ent_type_ for token in words if token.lower_ not in called}
    parts = [token.pos_ for token in content]
    if kinds & NAMES:
        yield "name"
    if kinds & {"DATE", "TIME"}:
        yield "date"
    if any(token.pos_ == "PROPN" for token in words if token.i > sentence.start):
        yield "proper noun"
    if any(token.like_num for token in words):
        yield "number"
    if parts.count("NOUN") >= 2:
        yield "two nouns"
    if "NOUN" not in parts and "PROPN" not in parts:
        yield "no noun"
    if any(token.pos_ == "INTJ" for token in words):
        yield "interjection"
    if words and words[0].lower_ in QUESTION_WORDS:
        yield "wh-word first"


def _look(sentence: Span) -> Iterator[str]:
    text = sentence.text.rstrip()
    if text.endswith("!"):
        yield "exclaimed"
    if "?" in text:
        yield "asked"
    if not text.isascii() and any(ord(char) > 127 and not char.isalnum() for char in text.strip(PUNCTUATION)):
        yield "picture"


def _predicate(sentence: Span) -> Iterator[str]:
    root = sentence.root
    if root.pos_ not in {"VERB", "AUX"}:
        finite = any(token.pos_ in {"VERB", "AUX"} and token.tag_ != "VBG" for token in sentence)
        yield "root is no verb" if finite else "no verb"
        return
    children = list(root.children)
    yield _mood(root, children)
    if root.lemma_.lower() in STATES:
        yield "state"
    if root.lemma_.lower() in THINKING:
        yield "thinking"
    for child in children:
        if child.dep_ == "dobj":
            yield "object"
        elif child.dep_ == "acomp" and child.lemma_.lower() in PRAISE:
            yield "praise"
    subjects = [child for child in children if child.dep_ in SUBJECT or child.dep_ == "expl"]
    yield from (_subject(subject) for subject in subjects)
    if not subjects:
        yield "no subject"


def _mood(root: Token, children: list[Token]) -> str:
    first = next((child for child in children if child.dep_ in {"aux", "auxpass"}), root)
    if first.tag_ == "MD":
        return "will" if first.lower_ in {"will", "'ll", "’ll", "wo", "can", "ca"} else "would"
    moods = {
        "VBD": "past",
        "VBP": "present",
        "VBZ": "present",
        "VB": "bare verb",
        "VBG": "bare -ing",
    }
    return moods.get(first.tag_, "bare participle")


def _subject(subject: Token) -> str:
    said = subject.lower_
    if said in GENERIC or subject.dep_ == "expl":
        return "subject it"
    for sign, name in (("I", "subject I"), ("you", "subject you"), ("he or she", "subject he or she")):
        if said in BY_WORD[sign]:
            return name
    if any(word.lower_ in BY_WORD["my"] for word in subject.subtree):
        return "subject my"
    return "subject named" if subject.pos_ == "PROPN" else "subject other"


def _says(token: Token, called: Collection[str]) -> bool:
    if token.is_stop or token.pos_ == "INTJ" or token.lower_ in called:
        return False
    return not {token.lower_, token.lemma_.lower()} & (CHAT | PRAISE)
