"""Weights that tell facts from talk, from the developed golden dialogues: `python benchmarks/telling.py [--write]`.

Logistic regression over the signs of a sentence (providers/signs.py). A
sentence is a fact if it shares 60 % of its words, or of the fact's, with one that is expected of its step; it is talk below 45 %; those
between are left out. The weights are judged twice, never by what they were fitted on: by ten folds of whole dialogues, and by leaving
out all dialogues of one hand, for people write small talk each in their own way. `--write` fits all and writes providers/telling.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from spacy.tokens import Span

from benchmarks.logistic import Shown, fitted, folds, left_out, odds
from benchmarks.table import Row, report
from memfold.memory.texts import plain_words
from memfold.providers.relation_rules import relations_in
from memfold.providers.signs import signs
from memfold.providers.spacy_model import parser
from memfold.providers.telling import ENOUGH
from memfold.providers.worth_keeping import may_be_worth_keeping
from tests.understanding.dialogues import NOTHING_TO_KEEP, Dialogue, Step, dialogues

FACT, TALK = 0.6, 0.45
FOLDS = 10
FILE = Path(__file__).parents[1] / "providers" / "telling.json"


class Example(NamedTuple):
    """A sentence: its dialogue and step, its signs, whether it is a fact (None: left out), and what the rules alone make of it."""

    dialogue: Dialogue
    step: int
    signs: frozenset[str]
    is_fact: bool | None
    has_relation: bool
    passes: bool


def examples() -> list[Example]:
    developed = [dialogue for dialogue in dialogues() if not dialogue.held_out]
    return [
        Example(
            dialogue,
            number,
            signs(sentence),
            _is_fact(sentence, step),
            bool(relations_in(sentence, "alex")),
            may_be_worth_keeping(sentence),
        )
        for dialogue in developed
        for number, step in enumerate(dialogue.steps)
        for message in step.item.messages
        if message.role == "user"
        for line in message.content.splitlines()
        for sentence in parser()(" ".join(line.split())).sents
    ]


def _is_fact(sentence: Span, step: Step) -> bool | None:
    words = set(plain_words(sentence.text))
    facts = [set(plain_words(text)) for fact in step.facts for text in (fact.text, fact.memory)]
    common = max(
        (len(words & fact) / min(len(words), len(fact)) for fact in facts if words and fact), default=0
    )
    return True if common >= FACT else False if common < TALK else None


def shown(example: Example) -> Shown | None:
    return None if example.is_fact is None else Shown(example.signs, example.is_fact)


def kept(example: Example, weights: dict[str, float]) -> bool:
    told = "asked" in example.signs or odds(example.signs, weights) > ENOUGH
    return example.has_relation or (example.passes and told)


def rows(name: str, found: list[Example], keeps: list[bool]) -> list[Row]:
    steps: dict[tuple[str, str, int], bool] = {}
    for example, keep in zip(found, keeps, strict=True):
        if example.dialogue.sort in NOTHING_TO_KEEP:
            step = (example.dialogue.sort, example.dialogue.id, example.step)
            steps[step] = steps.get(step, False) or keep
    shares = {
        "nothing kept from small talk": [not kept for step, kept in steps.items() if step[0] == "small_talk"],
        "nothing kept from questions, wishes, hearsay": [
            not kept for step, kept in steps.items() if step[0] == "not_a_fact"
        ],
        "sentences kept that are facts": [k for e, k in zip(found, keeps, strict=True) if e.is_fact],
        "sentences kept that are none": [k for e, k in zip(found, keeps, strict=True) if e.is_fact is False],
    }
    return [Row(f"{name}: {what}", f"{np.mean(of):.1%} of {len(of)}", "", "") for what, of in shares.items()]


def main() -> None:
    found = examples()
    part = folds([example.dialogue.id for example in found], FOLDS)
    groups: dict[str, Callable[[Example], Hashable]] = {
        f"{FOLDS} folds": lambda example: part[example.dialogue.id],
        "one hand left out": lambda example: example.dialogue.hand,
    }
    judged = {
        name: [
            kept(each, without) for each, without in zip(found, left_out(found, shown, group), strict=True)
        ]
        for name, group in groups.items()
    }
    weights = fitted([one for each in found if (one := shown(each)) is not None])
    judged |= {
        "rules alone": [each.has_relation or each.passes for each in found],
        "fitted on all, for comparison": [kept(each, weights) for each in found],
    }
    report([row for name, keeps in judged.items() for row in rows(name, found, keeps)])
    if "--write" in sys.argv[1:]:
        ranked = dict(sorted(weights.items(), key=lambda pair: -pair[1]))
        FILE.write_text(json.dumps(ranked, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
