"""Weights that tell which memory a sentence replaces, from the developed golden dialogues: `python benchmarks/replacing.py [--write]`.

Logistic regression over the signs of a fact beside a memory (providers/change_signs.py). A pair is a change where the dialogue expects
an UPDATE of that memory by that fact. What is none: the other memories that the fact was shown, and the five nearest memories of
other dialogues, which count less, for some of those would be changes if one person had said both. Judged as benchmarks/telling.py is,
by what was left out. `--write` fits all and writes providers/replacing.json.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from msgspec.structs import replace

from benchmarks.logistic import Shown, fitted, folds, left_out, odds
from benchmarks.table import Row, report
from memfold.memory.facts import Candidate, Decision, Decisions, FoundFact, Similar
from memfold.memory.framing import embedded
from memfold.memory.ports import Embedder
from memfold.memory.state import SubjectState
from memfold.memory.texts import plain_words
from memfold.memory.understanding import Models
from memfold.providers.change_signs import change_signs
from memfold.providers.presets import ModelSettings, models_from
from memfold.providers.replacing import ENOUGH, SAYS_SO
from tests.understanding.dialogues import Dialogue, Expected, Step, dialogues, same_fact
from tests.understanding.playing import play

OTHERS, OTHERS_COUNT = 5, 0.3
FOLDS = 10
FILE = Path(__file__).parents[1] / "providers" / "replacing.json"


class Pair(NamedTuple):
    """A fact beside a memory; `other`: the memory is from another dialogue."""

    dialogue: Dialogue
    fact: FoundFact
    memory: Similar
    is_change: bool
    other: bool


class Expecting:
    """The decider that decides as a dialogue expects it, and keeps the pairs that it was shown."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._facts: dict[str, set[str]] = {}
        self.step: Step = dialogue.steps[0]
        self.pairs: list[Pair] = []

    async def decide(self, candidates: Sequence[Candidate]) -> Decisions:
        return Decisions([self._decided(number, candidate) for number, candidate in enumerate(candidates)])

    def _decided(self, number: int, candidate: Candidate) -> Decision:
        fact = candidate.fact
        wanted = self._wanted(fact)
        changes = wanted is not None and wanted.op in ("UPDATE", "DELETE")
        for memory in candidate.similar:
            meant = wanted is not None and wanted.of in self._facts.get(memory.memory_id, ())
            if not meant or changes:
                self.pairs.append(Pair(self._dialogue, fact, memory, meant, False))
            if meant:
                return Decision("UPDATE" if changes else "NONE", number, fact.text, memory.memory_id)
        return Decision("ADD", number, fact.text)

    def _wanted(self, fact: FoundFact) -> Expected | None:
        said = set(plain_words(fact.text))
        for expected in self.step.facts:
            words = set(plain_words(expected.text))
            if len(said & words) >= 0.6 * min(len(said), len(words)):
                return expected
        return None

    def played(self, memories: dict[str, str]) -> None:
        """Remember which memories stand for the facts of the step that was just played."""
        for fact in self.step.facts:
            for memory_id, text in memories.items():
                stands_for = self._facts.setdefault(memory_id, set())
                if same_fact(fact.memory, text) or fact.of in stands_for:
                    stands_for.add(fact.id)


async def pairs() -> list[Pair]:
    embedder, extractor, _ = models_from(ModelSettings())
    found: list[Pair] = []
    for dialogue in dialogues():
        if dialogue.held_out:
            continue
        decider = Expecting(dialogue)
        steps = iter(dialogue.steps)
        decider.step = next(steps)
        async for one in play(dialogue, Models(embedder, extractor, decider), SubjectState()):
            decider.played(one.after)
            decider.step = next(steps, decider.step)
        found += decider.pairs
    return found + await _others(found, embedder)


async def _others(found: list[Pair], embedder: Embedder) -> list[Pair]:
    """Each fact beside the memories of other dialogues that are nearest to it."""
    facts = list({(pair.dialogue.id, pair.fact.text): pair for pair in found}.values())
    memories = list({(pair.dialogue.id, pair.memory.text): pair for pair in found}.values())
    said = await embedder.embed([embedded(pair.fact.text) for pair in facts])
    known = await embedder.embed([embedded(pair.memory.text) for pair in memories])
    beside = []
    for pair, cosines in zip(facts, said @ known.T, strict=True):
        nearest = (int(number) for number in np.argsort(-cosines))
        others = [number for number in nearest if memories[number].dialogue is not pair.dialogue][:OTHERS]
        for number in others:
            memory = replace(memories[number].memory, score=float(cosines[number]))
            beside.append(Pair(pair.dialogue, pair.fact, memory, is_change=False, other=True))
    return beside


def shown(pair: Pair) -> Shown:
    signs = change_signs(pair.fact, pair.fact.text, pair.memory)
    return Shown(signs, pair.is_change, OTHERS_COUNT if pair.other else 1.0)


def rows(name: str, found: list[Pair], signs: list[Shown], weights: list[dict[str, float]]) -> list[Row]:
    judged = [
        (pair, odds(one.signs, known) > ENOUGH and bool(one.signs & SAYS_SO) and "addition" not in one.signs)
        for pair, one, known in zip(found, signs, weights, strict=True)
    ]
    shares = {
        "changes found": [yes for pair, yes in judged if pair.is_change],
        "taken for a change, of the dialogue's other memories": [
            yes for pair, yes in judged if not pair.is_change and not pair.other
        ],
        "of other dialogues' nearest memories": [yes for pair, yes in judged if pair.other],
    }
    return [Row(f"{name}: {what}", f"{np.mean(of):.1%} of {len(of)}") for what, of in shares.items()]


def main() -> None:
    found = asyncio.run(pairs())
    signs = [shown(pair) for pair in found]
    part = folds([pair.dialogue.id for pair in found], FOLDS)
    groups: dict[str, Callable[[Pair], Hashable]] = {
        f"{FOLDS} folds": lambda pair: part[pair.dialogue.id],
        "one hand left out": lambda pair: pair.dialogue.hand,
    }
    table: list[Row] = []
    for name, group in groups.items():
        table += rows(name, found, signs, left_out(found, shown, group))
    weights = fitted(signs)
    table += rows("fitted on all, for comparison", found, signs, [weights] * len(signs))
    report(table)
    if "--write" in sys.argv[1:]:
        ranked = dict(sorted(weights.items(), key=lambda pair: -pair[1]))
        FILE.write_text(json.dumps(ranked, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
