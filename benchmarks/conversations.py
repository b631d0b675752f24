"""What the offline models make of real conversations: reference facts covered, and memories that some turn supports.

    python benchmarks/conversations.py FOLDER [--pairs N] [--seed N]

FOLDER holds one JSON file a conversation, in LoCoMo's form cut into sessions: `turns` (dia_id, speaker, text), `date_time`, and
`observations`, the facts that people found, each with the turns it was found in. Nothing of it is copied. `--pairs` prints N
of the reference facts with what was kept of their turns, drawn at random, for the threshold to be checked by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import Row, rate, report
from memfold.memory.deciding import decide
from memfold.memory.facts import Utterances
from memfold.memory.ports import Embedder
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.providers.presets import ModelSettings, embedder_from, models_from
from memfold.schemas.records import AddRequested, Item, Message, Scope

NEAR = 0.4
"""Cosine, by MiniLM, from which what was kept of a fact's own turns counts as telling it: of a hundred pairs read one by one, 81
of the 82 above it tell the fact or a part of it, as do 7 of the 18 below."""
NEAR_ITS_TURN = 0.7
"""Cosine from which a memory is near what a turn says, as a whole or in one of its sentences."""
SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")
MADE_ABSOLUTE = re.compile(r" \([^()]*\d{4}\)")
"""The date that stands behind a relative one comes from the message's time, not from its words."""


@dataclass(frozen=True, slots=True)
class Reference:
    text: str
    turns: frozenset[str]


@dataclass(slots=True)
class Conversation:
    """`turns` by id: who, and the words. `sessions`: the time, and the ids of its turns in order."""

    turns: dict[str, tuple[str, str]] = field(default_factory=dict)
    sessions: list[tuple[datetime, list[str]]] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    def nameless(self, text: str) -> str:
        """Without the speakers' names: with them "Thanks, Ada!" is near to everything that is told of Ada."""
        names = {word for speaker, _ in self.turns.values() for word in speaker.split()}
        return re.sub(rf"\b({'|'.join(map(re.escape, sorted(names)))})\b('s|:)?", "", text).strip()


@dataclass(frozen=True, slots=True)
class Memory:
    text: str
    turns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pair:
    """A reference fact, and all that is kept of the turns it was found in: people sum up what was said in several sentences."""

    reference: str
    kept: str
    cosine: float


def read(path: Path) -> Conversation:
    conversation = Conversation()
    for session in json.loads(path.read_text())["sessions"]:
        when = datetime.strptime(session["date_time"].strip(), "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        conversation.sessions.append((when, [turn["dia_id"] for turn in session["turns"]]))
        for turn in session["turns"]:
            conversation.turns[turn["dia_id"]] = (turn["speaker"], turn["text"])
        for found in (session["observations"] or {}).values():
            for text, said_in in found:
                turns = frozenset([said_in] if isinstance(said_in, str) else said_in)
                conversation.references.append(Reference(text, turns))
    return conversation


async def remember(conversation: Conversation, models: Models) -> list[Memory]:
    """Each session is one item of one command; what is current at the end, with the turns that it was said in."""
    state = SubjectState()
    said_in: dict[str, set[str]] = defaultdict(set)
    for number, item in enumerate(_items(conversation)):
        command = AddRequested(Scope(run_id="conversation"), [item], True)
        asked_at = item.said_at or datetime.now(UTC)
        body = await decide(command, str(uuid.UUID(int=number + 1, version=4)), asked_at, state, models)
        for fact in body.facts:
            said_in[fact.text].add(conversation.sessions[number][1][fact.message])
    return [Memory(known.text, frozenset(said_in[known.text])) for known in state.memories.values()]


def _items(conversation: Conversation) -> Iterator[Item]:
    for when, turns in conversation.sessions:
        said = (conversation.turns[turn] for turn in turns)
        yield Item([Message("user", text, speaker) for speaker, text in said], said_at=when)


async def pairs(conversation: Conversation, memories: list[Memory], judge: Embedder) -> list[Pair]:
    """Only memories of the fact's own turns: static vectors find a memory "about the same" for nearly everything."""
    kept = [
        " ".join(memory.text for memory in memories if memory.turns & reference.turns)
        for reference in conversation.references
    ]
    told = await judge.embed([conversation.nameless(each.text) for each in conversation.references])
    texts = await judge.embed([conversation.nameless(text) or "." for text in kept])
    cosines = (told * texts).sum(axis=1)
    return [
        Pair(reference.text, text, float(cosine) if text else 0.0)
        for reference, text, cosine in zip(conversation.references, kept, cosines, strict=True)
    ]


async def supported(
    conversation: Conversation, memories: list[Memory], models: Models
) -> tuple[list[Memory], int]:
    """The memories with a word that is in no one turn (nor its speaker's name), and how many are near a turn in meaning."""
    said = [f"{speaker}: {text}" for speaker, text in conversation.turns.values()]
    words = [set(_words(text)) for text in said]
    parts = [part for _, text in conversation.turns.values() for part in (text, *SENTENCE_END.split(text))]
    turns = await models.embedder.embed(parts)
    texts = await models.embedder.embed([conversation.nameless(memory.text) for memory in memories])
    near = int(((texts @ turns.T).max(axis=1) >= NEAR_ITS_TURN).sum()) if memories else 0
    invented = [
        memory
        for memory in memories
        if not any(each.issuperset(_words(MADE_ABSOLUTE.sub("", memory.text))) for each in words)
    ]
    return invented, near


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


async def measure(conversations: list[Conversation]) -> tuple[list[Row], list[Pair]]:
    models = Models(*models_from(ModelSettings()))
    judge = embedder_from(ModelSettings(embedder_provider="minilm"))
    found: list[Pair] = []
    stored, invented, near = 0, 0, 0
    for conversation in conversations:
        memories = await remember(conversation, models)
        found += await pairs(conversation, memories, judge)
        strange, close = await supported(conversation, memories, models)
        stored, invented, near = stored + len(memories), invented + len(strange), near + close
        for memory in strange:
            print("no turn says:", memory.text, file=sys.stderr)
    covered = sum(pair.cosine >= NEAR for pair in found) / len(found)
    from_turn = sum(bool(pair.kept) for pair in found) / len(found)
    turns = sum(len(conversation.turns) for conversation in conversations)
    words = (stored - invented) / stored
    rows = [
        Row(
            f"reference facts covered by what was kept of their turns, cosine >= {NEAR}",
            f"{covered:.1%}",
            "75 %",
            "",
            covered >= 0.75,
        ),
        Row("reference facts with any memory from their own turn", f"{from_turn:.1%}"),
        Row("memories whose words one turn holds", f"{words:.1%}", "95 %", "", words >= 0.95),
        Row("memories near a turn in meaning", f"{near / stored:.1%}", "95 %", "", near >= 0.95 * stored),
        Row("memories kept", f"{stored:,}", "", f"{turns:,} turns, {len(found):,} reference facts"),
        Row("sentences a second, extraction alone", rate(await _speed(conversations, models))),
    ]
    return rows, found


async def _speed(conversations: list[Conversation], models: Models) -> float:
    items = [item for conversation in conversations for item in _items(conversation)]
    sentences = sum(
        max(1, len(SENTENCE_END.findall(message.content))) for item in items for message in item.messages
    )
    started = time.perf_counter()
    for item in items:
        await models.extractor.extract(Utterances([item], "conversation"))
    return sentences / (time.perf_counter() - started)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--pairs", type=int, default=0)
    arguments.add_argument("--seed", type=int, default=7)
    given = arguments.parse_args()
    conversations = [read(path) for path in sorted(given.folder.glob("*.json"))]
    rows, found = asyncio.run(measure(conversations))
    for pair in random.Random(given.seed).sample(found, given.pairs):
        print(f"{pair.cosine:.2f}  {pair.reference}\n      {pair.kept}")
    report(rows)


if __name__ == "__main__":
    main()
