"""Facts and relations without a network: spaCy's parse of each sentence, and rules.

English only, and shallow: a fact is a sentence as it was said, never joined with the one that it leans on ("It was amazing"). Two
things are added and nothing is rewritten: who said it, where the message has a name ("Ada: I moved to Bergen"), for in a memory of
two people "I" tells nothing; and the date behind a relative one ("yesterday (7 May 2023)"), which is wrong the day after. A relation
is found only where a rule is sure of it. Importing this module loads no model.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from memfold.memory.facts import Extraction, FoundFact, Utterances
from memfold.providers.fact_kinds import kind_of

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span


ONLY_SAID = 0.5
"""Confidence of a sentence in which no rule found anything: it was said, but may be worth nothing."""
PIECE = 5_000
"""Characters parsed at once: the parser's memory grows with a text's length, about 1 GB for 100,000."""


class OfflineExtractor:
    """The `FactExtractor` that needs no endpoint; about 450 sentences a second.

    Reads what `roles` said. Drops greetings, small talk, and questions or requests that tell nothing. Raises
    ModelFileChanged on first use if the installed parser is not the pinned one.
    """

    def __init__(self, roles: Sequence[str] = ("user",)) -> None:
        self._roles = roles

    async def extract(self, said: Utterances) -> Extraction:
        """Facts in the order they were said; a sentence repeated inside one item is kept once."""
        lines = list(_lines(said, self._roles))
        if not lines:
            return Extraction(facts=[])
        from memfold.providers import spacy_model

        return await asyncio.get_running_loop().run_in_executor(spacy_model.thread, _extract, lines)


class _Line(NamedTuple):
    """A piece of one message. `speaker` is who "I" is; `name` is empty where that is the subject, and is not written down."""

    item: int
    message: int
    text: str
    speaker: str
    name: str
    said_at: datetime | None
    called: frozenset[str]


def _lines(said: Utterances, roles: Sequence[str]) -> Iterator[_Line]:
    for item, spoken in enumerate(said.items):
        names = {message.name for message in spoken.messages if message.name}
        called = frozenset(word for name in names for word in name.casefold().split())
        for number, message in enumerate(spoken.messages):
            if message.role in roles:
                nameless = said.first_person if message.role == "user" else message.role
                speaker = message.name or nameless
                name = "" if speaker == said.first_person else speaker
                for text in message.content.splitlines():
                    for piece in _pieces(" ".join(text.split())):
                        yield _Line(item, number, piece, speaker, name, said.said_at(item), called)


def _pieces(text: str) -> Iterator[str]:
    """Cuts a long line where a sentence ends, else at a space, else anywhere."""
    while len(text) > PIECE:
        ends = [match.end() for match in re.finditer(r"[.!?]\s", text[:PIECE])]
        cut = ends[-1] if ends else text.rfind(" ", 1, PIECE) + 1 or PIECE
        yield text[:cut].strip()
        text = text[cut:].strip()
    if text:
        yield text


def _extract(lines: list[_Line]) -> Extraction:
    from memfold.providers.spacy_model import parser

    facts: dict[tuple[int, str], FoundFact] = {}
    for document, line in parser().pipe(((line.text, line) for line in lines), as_tuples=True):
        for fact in _facts(document, line):
            facts.setdefault((fact.item, fact.text.casefold()), fact)
    return Extraction(facts=list(facts.values()))


def _sentences(document: Doc) -> Iterator[Span]:
    """As the parser cuts them, but for what cannot stand alone: ", we arrive on the 10th", "and I are divorced"."""
    start = 0
    for sentence in document.sents:
        after = document[sentence.end] if sentence.end < len(document) else None
        goes_on = (
            after is not None
            and (after.text in {",", ";"} or after.lower_ in {"and", "or"})
            and not after.is_title
        )
        if not goes_on or sentence.text.rstrip()[-1:] in set(".!?…"):
            yield document[start : sentence.end]
            start = sentence.end


def _facts(document: Doc, line: _Line) -> Iterator[FoundFact]:
    from memfold.providers.corrections import takes_back
    from memfold.providers.dates import dates_in, with_dates
    from memfold.providers.relation_rules import relations_in
    from memfold.providers.worth_keeping import worth_keeping

    taken_back = takes_back(line.text)
    for sentence in _sentences(document):
        relations = relations_in(sentence, line.speaker)
        if not relations and not worth_keeping(sentence, line.called):
            continue
        told = dates_in(sentence, line.said_at)
        text = with_dates(sentence, told).strip()
        yield FoundFact(
            text=f"{line.name}: {text}" if line.name else text,
            kind=kind_of(relations, text, line.speaker),
            item=line.item,
            message=line.message,
            confidence=max((relation.confidence for relation in relations), default=ONLY_SAID),
            relations=relations,
            speaker=line.name,
            when=told[0].period.iso if told else "",
            takes_back=taken_back,
        )
