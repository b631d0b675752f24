"""The clauses of a sentence that are said as fact by the speaker, and in which mood.

What is only wished, asked, supposed, quoted or put in another's mouth gives no clause, so no rule can see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spacy.tokens import Span, Token

from memfold.memory.facts import FoundRelation
from memfold.providers.entities import Entity, is_me, person, with_conjuncts
from memfold.providers.vocabulary import HEDGES, MISREAD_LEMMAS, wordset

TELLING = frozenset(
    {"tell", "mention", "remember", "note", "know", "realize", "announce", "learn", "forget", "decide"}
)
THINKING = wordset(
    """
    say think wish believe guess suppose hope imagine dream wonder ask claim assume feel want pretend joke
    """
)
REASONS = frozenset({"because", "since", "as", "though", "although", "whereas", "while"})
SURE = 0.9
LIKELY = 0.7
HAVE = frozenset({"have", "has", "'ve", "’ve", "'s", "’s"})
SUBJECT = frozenset({"nsubj", "nsubjpass"})


@dataclass(frozen=True, slots=True)
class Clause:
    """One predicate with who it is about. `negated`: "don't"; `ended`: "no longer", "used to", "don't ... anymore"."""

    verb: Token
    subjects: list[Entity]
    modal: str
    negated: bool
    ended: bool

    @property
    def lemma(self) -> str:
        lemma = self.verb.lemma_.lower()
        return MISREAD_LEMMAS.get(lemma, lemma)

    @property
    def plain(self) -> bool:
        """Said without "would", "might", "will" and the like."""
        return not self.modal

    @property
    def present(self) -> bool:
        """Not told of the past: "like", "don't like", "am liking"; not "liked", "did like", "had"."""
        finite = next((child for child in self.verb.children if child.dep_ in {"aux", "auxpass"}), self.verb)
        return finite.tag_ != "VBD"

    @property
    def has_got(self) -> bool:
        """ "I've got a cat": what one has, not what one was given."""
        auxiliaries = (child for child in self.verb.children if child.dep_ == "aux")
        return self.verb.lower_ == "got" and any(word.lower_ in HAVE for word in auxiliaries)

    @property
    def holds(self) -> bool:
        """A present state, or one that is said to be no longer so."""
        return self.ended or (self.plain and self.present)

    def relate(
        self, relationship: str, target: Entity | None, confidence: float = SURE, ends: bool | None = None
    ) -> Iterator[FoundRelation]:
        """The relation of each subject to the target; unless told, it ends where the clause says "not" or "no longer"."""
        for subject in self.subjects:
            if target is not None and target.name != subject.name:
                yield FoundRelation(
                    source=subject.name,
                    relationship=relationship,
                    target=target.name,
                    source_type=subject.type,
                    target_type=target.type,
                    confidence=confidence,
                    ends=(self.ended or self.negated) if ends is None else ends,
                    source_which=subject.which,
                    target_which=target.which,
                )


def clauses(sentence: Span, first_person: str) -> Iterator[Clause]:
    """Every asserted clause of a sentence about the speaker or a named person or animal."""
    if sentence.text.rstrip(" \"'”’)").endswith("?"):
        return
    for token in sentence:
        if not _is_predicate(token) or not _is_asserted(token):
            continue
        subjects = _subjects(token, first_person)
        if subjects:
            yield from _with_aspect(token, subjects)


def _with_aspect(token: Token, subjects: list[Entity]) -> Iterator[Clause]:
    """The clause itself; for "stopped doing", "used to do", "started doing" also the deed, ended or not."""
    negated, ended = _negation(token)
    modal = _modal(token)
    yield Clause(token, subjects, modal, negated, ended)
    lemma = token.lemma_.lower()
    for deed in token.children:
        if deed.dep_ != "xcomp" or modal or negated:
            continue
        if lemma in {"stop", "quit"} or (lemma == "use" and token.lower_ == "used") or _gave_up(token):
            yield Clause(deed, subjects, "", False, True)
        elif lemma in {"start", "begin", "keep", "continue"}:
            yield Clause(deed, subjects, "", False, False)


def _gave_up(token: Token) -> bool:
    return token.lemma_ == "give" and any(
        child.dep_ == "prt" and child.lower_ == "up" for child in token.children
    )


def _is_predicate(token: Token) -> bool:
    if any(child.dep_ in SUBJECT for child in token.children):
        return True
    return token.dep_ == "conj" and token.pos_ in {"VERB", "AUX"} and bool(_inherited(token))


def _inherited(token: Token) -> list[Token]:
    """Subjects of the first of joined verbs: "Sarah works and lives in Oslo"."""
    own = [child for child in token.children if child.dep_ in SUBJECT]
    if own or token.dep_ != "conj" or token.head == token:
        return own
    return _inherited(token.head)


def _subjects(token: Token, first_person: str) -> list[Entity]:
    found = []
    for subject in _inherited(token):
        if subject.lower_ in {"who", "that"} and token.dep_ == "relcl":
            subject = token.head
        # In "My name's Karen and I'm a dentist" the parser makes Karen a subject of "am" too.
        of_am = token.lower_ in {"am", "'m", "’m"}
        found += [person(each, first_person) for each in with_conjuncts(subject) if not of_am or is_me(each)]
    return [entity for entity in found if entity is not None]


def _modal(token: Token) -> str:
    own = next((child.lower_ for child in token.children if child.tag_ == "MD"), "")
    if own or token.dep_ != "conj" or any(child.dep_ in SUBJECT for child in token.children):
        return own
    return _modal(token.head)


def _negation(token: Token) -> tuple[bool, bool]:
    # "I live in Bergen, not Oslo" denies what comes after it, not the verb.
    words = {child.lower_ for child in token.children if child.dep_ != "neg" or child.i <= token.i + 2}
    longer = "longer" in words and any(
        word.lower_ == "longer" and word.nbor(-1).lower_ == "no" for word in token.children
    )
    negated = bool(words & {"not", "n't", "n’t", "never"})
    late = negated and any(word.lower_ in {"anymore", "longer"} for word in token.subtree)
    return negated and not late, longer or late


def _is_asserted(token: Token) -> bool:
    """Walks up to the root; each step must keep that the speaker says it as fact."""
    adverbs = (word for child in token.children if child.dep_ == "advmod" for word in child.subtree)
    if _is_quoted(token) or any(word.lower_ in HEDGES for word in adverbs):
        return False
    while token.dep_ != "ROOT":
        head = token.head
        marks = {child.lower_ for child in token.children if child.dep_ == "mark"}
        if token.dep_ == "ccomp":
            if not _tells(head, token):
                return False
        elif token.dep_ == "advcl":
            if not marks & REASONS:
                return False
        elif token.dep_ == "relcl":
            return head.pos_ == "PROPN"
        elif token.dep_ not in {"conj", "parataxis"} or marks & {"if", "whether", "unless"}:
            return False
        token = head
    return True


def _tells(head: Token, token: Token) -> bool:
    """ "I told you that ..." and "Remember that ..." do; "She said ..." and "I think ..." do not; nor does a wish."""
    if head.lemma_.lower() in TELLING:
        tellers = [child for child in head.children if child.dep_ in SUBJECT]
        unforgotten = head.lemma_ != "forget" or any(child.dep_ == "neg" for child in head.children)
        return unforgotten and all(is_me(teller) or teller.lower_ == "you" for teller in tellers)
    return token.i < head.i and head.lemma_.lower() not in THINKING


def _is_quoted(token: Token) -> bool:
    before = token.doc[: token.i]
    opened = sum(word.text in {'"', "“", "”", "«", "»"} for word in before)
    return opened % 2 == 1
