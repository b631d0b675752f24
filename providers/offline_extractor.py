"""Facts and relations without a network: spaCy's parse of each sentence, and rules.

English only, and shallow: a fact is a sentence as it was said, never rewritten or joined with another; "she" is not
resolved; a relation is found only where a rule is sure of it. Importing this module loads no model.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from memfold.memory.facts import Extraction, FoundFact, Utterances
from memfold.providers.fact_kinds import kind_of

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

        return await asyncio.get_running_loop().run_in_executor(
            spacy_model.thread, _extract, lines, said.first_person
        )


class _Line(NamedTuple):
    item: int
    message: int
    text: str


def _lines(said: Utterances, roles: Sequence[str]) -> Iterator[_Line]:
    for item, spoken in enumerate(said.items):
        for number, message in enumerate(spoken.messages):
            if message.role in roles:
                for text in message.content.splitlines():
                    for piece in _pieces(" ".join(text.split())):
                        yield _Line(item, number, piece)


def _pieces(text: str) -> Iterator[str]:
    """Cuts a long line where a sentence ends, else at a space, else anywhere."""
    while len(text) > PIECE:
        ends = [match.end() for match in re.finditer(r"[.!?]\s", text[:PIECE])]
        cut = ends[-1] if ends else text.rfind(" ", 1, PIECE) + 1 or PIECE
        yield text[:cut].strip()
        text = text[cut:].strip()
    if text:
        yield text


def _extract(lines: list[_Line], first_person: str) -> Extraction:
    from memfold.providers.relation_rules import relations_in
    from memfold.providers.spacy_model import parser
    from memfold.providers.worth_keeping import worth_keeping

    facts: dict[tuple[int, str], FoundFact] = {}
    parsed = parser().pipe(((line.text, line) for line in lines), as_tuples=True)
    for document, line in parsed:
        for sentence in document.sents:
            relations = relations_in(sentence, first_person)
            if relations or worth_keeping(sentence):
                fact = FoundFact(
                    text=sentence.text.strip(),
                    kind=kind_of(relations),
                    item=line.item,
                    message=line.message,
                    confidence=max((relation.confidence for relation in relations), default=ONLY_SAID),
                    relations=relations,
                )
                facts.setdefault((line.item, fact.text.casefold()), fact)
    return Extraction(facts=list(facts.values()))
