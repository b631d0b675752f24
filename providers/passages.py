"""Sentences of one message that can only be understood together: "I met Sarah. She loves hiking." is one passage.

A sentence that leans on the one before it ("It was amazing", "They moved in May") is joined to it if that one is kept; words stay
as they were said, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from spacy.tokens import Span

from memfold.memory.facts import FoundRelation

LONGEST = 1
"""Sentences in a passage: a longer one is too vague to be found by meaning."""
POINTING = frozenset(
    {"it", "they", "them", "she", "her", "he", "him", "his", "their", "this", "that", "these", "those"}
)


@dataclass(slots=True)
class Passage:
    """What is kept as one memory. `when`: the first date that it tells."""

    sentences: list[str]
    relations: list[FoundRelation] = field(default_factory=list)
    when: str = ""

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


@dataclass(frozen=True, slots=True)
class Read:
    """One sentence and what was made of it."""

    text: str
    relations: list[FoundRelation]
    when: str
    kept: bool
    leans: bool


def leans(sentence: Span) -> bool:
    """Whether it points back before it names anything of its own."""
    for token in sentence:
        if token.pos_ == "PRON" and token.lower_ in POINTING:
            return token.dep_ not in {"expl", "mark"}
        if token.pos_ in {"NOUN", "PROPN"} and token.dep_ not in {"npadvmod", "vocative", "intj"}:
            return False
        if token.lower_ in {"i", "we", "my", "our"}:
            return False
    return False


def passages(read: Iterable[Read]) -> list[Passage]:
    """The kept sentences of one message, those that lean joined to the one before."""
    found: list[Passage] = []
    before = False
    for each in read:
        if each.kept and each.leans and before and len(found[-1].sentences) < LONGEST:
            last = found[-1]
            last.sentences.append(each.text)
            last.relations += each.relations
            last.when = last.when or each.when
        elif each.kept:
            found.append(Passage([each.text], list(each.relations), each.when))
        before = each.kept
    return found
