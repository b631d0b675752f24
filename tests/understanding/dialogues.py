"""The golden dialogues: what is said, step by step, and what a careful person would remember of it.

One JSON file a topic in `golden/`: {"topic", "dialogues": [{"id", "sort", "steps"}]}. A step is one `add`:
"messages" (a text is the user's; else {"role", "content", "name"}), "said_at", and the "facts" that are to come of it, each

    id          its name inside the dialogue
    text, kind  as close to the speaker's own words as can be; one of the seven kinds
    op, of      ADD; UPDATE of an earlier fact, whose memory it replaces; DELETE of it together with the ADD of this one; NONE: an
                earlier fact said again
    becomes     what the updated memory says, where it keeps a part of the old one and the relations that go with it
    relations   [source, source type, RELATIONSHIP, target, target type] that the fact states; "I" is alex
    may         [source, RELATIONSHIP, target] that are right if they are found, but not asked for
    called      {RELATIONSHIP: another name that the perfect model uses for it}
    ended       [source, RELATIONSHIP, target] that stop holding with it; what an UPDATE no longer says ends by itself
    when        the day that it tells of, where it tells one relative to `said_at`
    which       {name: role} where two people share a name

A dialogue may have "names_of_one", which have to be one entity in the end, and "two_of_a_name", one that has to be two.

The files that end in `HELD_OUT` were written by another hand, and nobody who makes the rules of the offline models reads them: what
they are measured at is what counts. All others are developed with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from memfold.memory.entities import entity_key
from memfold.memory.facts import FoundRelation
from memfold.memory.texts import plain_words
from memfold.memory.vocabulary import canonical
from memfold.schemas.records import Item, Message

FOLDER = Path(__file__).with_name("golden")
HANDS = ("_2", "_3", "_4")
HELD_OUT = "_4"
NOTHING_TO_KEEP = ("small_talk", "not_a_fact")
ENOUGH = 0.6
"""Of the words of an expected fact that a memory must have in common with it, to be taken for that fact."""

Triple = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Expected:
    """One fact that a step is to give."""

    id: str
    text: str
    kind: str
    op: str
    of: str
    relations: tuple[FoundRelation, ...]
    ended: frozenset[Triple]
    when: str
    becomes: str
    may: frozenset[Triple]
    called: dict[str, str]

    @property
    def memory(self) -> str:
        """What its memory says from now on."""
        return self.becomes or self.text

    def triples(self) -> frozenset[Triple]:
        return frozenset(triple(r.source, r.relationship, r.target) for r in self.relations)


@dataclass(frozen=True, slots=True)
class Step:
    item: Item
    facts: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    id: str
    topic: str
    sort: str
    hand: str
    """Whose file it is from: "_4", or nothing for the first."""
    steps: tuple[Step, ...]
    names_of_one: tuple[str, ...] = ()
    two_of_a_name: str = ""

    @property
    def held_out(self) -> bool:
        return self.hand == HELD_OUT


def triple(source: str, relationship: str, target: str) -> Triple:
    """As relations are compared: names by their keys, in memfold's vocabulary."""
    found = canonical(FoundRelation(source, relationship, target))
    return entity_key(found.source), found.relationship, entity_key(found.target)


def same_fact(expected: str, text: str) -> bool:
    """Whether a memory says what was expected, going by the words in common."""
    wanted = set(plain_words(expected))
    return bool(wanted) and len(wanted & set(plain_words(text))) >= ENOUGH * len(wanted)


def dialogues() -> Iterator[Dialogue]:
    for path in sorted(FOLDER.glob("*.json")):
        data = json.loads(path.read_text())
        for one in data["dialogues"]:
            steps = tuple(_step(step) for step in one["steps"])
            yield Dialogue(
                one["id"],
                data["topic"],
                one["sort"],
                next((hand for hand in HANDS if path.stem.endswith(hand)), ""),
                steps,
                tuple(one.get("names_of_one", ())),
                one.get("two_of_a_name", ""),
            )


def _step(step: dict[str, Any]) -> Step:
    messages = [
        Message("user", said)
        if isinstance(said, str)
        else Message(said["role"], said["content"], said.get("name"))
        for said in step["messages"]
    ]
    said_at = datetime.fromisoformat(step["said_at"]) if "said_at" in step else None
    return Step(Item(messages, said_at=said_at), tuple(_fact(fact) for fact in step["facts"]))


def _fact(fact: dict[str, Any]) -> Expected:
    which: dict[str, str] = fact.get("which", {})
    relations = tuple(
        FoundRelation(
            source,
            relationship,
            target,
            source_type,
            target_type,
            source_which=which.get(source, ""),
            target_which=which.get(target, ""),
        )
        for source, source_type, relationship, target, target_type in fact.get("relations", ())
    )
    ended, may = (frozenset(triple(*one) for one in fact.get(key, ())) for key in ("ended", "may"))
    return Expected(
        fact["id"],
        fact["text"],
        fact["kind"],
        fact["op"],
        fact.get("of", ""),
        relations,
        ended,
        fact.get("when", ""),
        fact.get("becomes", ""),
        may,
        fact.get("called", {}),
    )
