"""`make eval`: what the offline models make of the golden dialogues, beside what was asked for.

    python benchmarks/understanding.py [--json] [--show]

Each dialogue goes through `decide`, step by step, one subject each. An expected fact counts as kept when a memory has at least
60 % of its words; a decision as right when it is the expected one and about the expected memory; a relation when source, name
and target are the same, names by their keys; one that the set allows and does not ask for counts neither way. An end is of a
relation that held until the step. The rules were made with the developed dialogues alone, so those that were held out are
what counts. `--json` prints the rows as JSON; `--show` what went wrong in the developed ones, never what is held out.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import Row, report
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.providers.presets import ModelSettings, models_from
from tests.understanding.dialogues import Dialogue, Expected, Triple, dialogues, same_fact
from tests.understanding.playing import Played, play


class Score:
    """How often each measure was met, of how often it could have been."""

    def __init__(self) -> None:
        self._hits: Counter[str] = Counter()
        self._of: Counter[str] = Counter()

    def count(self, measure: str, hits: int, of: int = 1) -> None:
        self._hits[measure] += hits
        self._of[measure] += of

    def __add__(self, other: Score) -> Score:
        both = Score()
        both._hits, both._of = self._hits + other._hits, self._of + other._of
        return both

    def row(self, measure: str, asked: float, half: str) -> Row:
        of = self._of[measure]
        share = self._hits[measure] / of if of else 0.0
        value = f"{share:.1%} ({self._hits[measure]} of {of})"
        return Row(
            f"{half}: {measure}",
            value,
            f"{asked:.0%}" if asked else "",
            "",
            share >= asked if asked else None,
        )


MEASURES = {
    "facts kept that should be": 0.85,
    "nothing kept from small talk": 0.90,
    "nothing kept from questions, wishes, hearsay": 0.0,
    "right decision on corrections and repeats": 0.80,
    "relations, precision": 0.85,
    "relations, recall": 0.60,
    "relations ended that should be, where they were found": 0.0,
    "kinds, of the facts kept": 0.0,
}


async def score(chosen: Sequence[Dialogue], show: bool) -> Score:
    found = Score()
    models = Models(*models_from(ModelSettings()))
    for dialogue in chosen:
        placed: dict[str, str] = {}
        held: set[Triple] = set()
        async for played in play(dialogue, models, SubjectState()):
            wrong = _judge(dialogue, played, placed, held, found)
            held = played.holds
            if show and wrong and not dialogue.held_out:
                said = [message.content for message in played.step.item.messages]
                print(f"{dialogue.id} ({dialogue.sort}) {said}", *wrong, sep="\n    ", file=sys.stderr)
    return found


def _judge(
    dialogue: Dialogue, played: Played, placed: dict[str, str], held: set[Triple], found: Score
) -> list[str]:
    """Count one step; what went wrong in it. `placed`: the memory of each fact so far; `held`: relations before the step."""
    wrong: list[str] = []
    kept = [done for done in played.body.operations if done.op in ("ADD", "UPDATE")]
    if dialogue.sort in ("small_talk", "not_a_fact"):
        measure = "small talk" if dialogue.sort == "small_talk" else "questions, wishes, hearsay"
        found.count(f"nothing kept from {measure}", not kept)
        wrong += [f"kept: {done.text}" for done in kept]
    for fact in played.step.facts:
        place = next((i for i, text in played.after.items() if same_fact(fact.memory, text)), None)
        if fact.op != "NONE":
            found.count("facts kept that should be", place is not None)
            wrong += [] if place else [f"not kept: {fact.memory}"]
            kinds = [done.kind for done in kept if done.memory_id == place]
            found.count("kinds, of the facts kept", fact.kind in kinds, len(kinds[:1]))
        if fact.op != "ADD":
            right = _decided_right(fact, played, placed)
            found.count("right decision on corrections and repeats", right)
            wrong += (
                []
                if right
                else [f"not {fact.op} of {fact.of}: {[(d.op, d.text) for d in played.body.operations]}"]
            )
        placed[fact.id] = place or placed.get(fact.of, "")
    wanted = {triple for fact in played.step.facts if fact.op != "NONE" for triple in fact.triples()}
    asserted = played.asserted()
    allowed = set().union(*(fact.may for fact in played.step.facts)) - wanted
    found.count("relations, precision", len(asserted & wanted), len(asserted - allowed))
    # A relation that goes on holding is not asserted again.
    found.count("relations, recall", len(wanted & played.holds), len(wanted))
    over = {triple for fact in played.step.facts for triple in fact.ended} & held
    found.count("relations ended that should be, where they were found", len(over - played.holds), len(over))
    wrong += [f"relation goes on: {triple}" for triple in sorted(over & played.holds)]
    wrong += [f"relation too much: {triple}" for triple in sorted(asserted - wanted - allowed)]
    return wrong + [f"relation missing: {triple}" for triple in sorted(wanted - played.holds)]


def _decided_right(fact: Expected, played: Played, placed: dict[str, str]) -> bool:
    """NONE: nothing new of it. UPDATE: the old memory is the new one now, or has gone as the new one came."""
    old = placed.get(fact.of, "")
    done = [one for one in played.body.operations if same_fact(fact.text, one.text) or one.memory_id == old]
    if fact.op == "NONE":
        return all(one.op == "NONE" for one in done) and old in played.after
    updated = any(one.op == "UPDATE" and one.memory_id == old for one in done)
    replaced = old not in played.after and any(one.op == "ADD" for one in done)
    return (updated or replaced) and any(same_fact(fact.memory, text) for text in played.after.values())


def main() -> None:
    show = "--show" in sys.argv[1:]
    everything = list(dialogues())
    parts = {
        "held out": [dialogue for dialogue in everything if dialogue.held_out],
        "developed with": [dialogue for dialogue in everything if not dialogue.held_out],
    }
    scores = {f"{part}, {len(chosen)}": asyncio.run(score(chosen, show)) for part, chosen in parts.items()}
    scores[f"all, {len(everything)}"] = sum(scores.values(), Score())
    rows = [
        found.row(measure, asked, part)
        for part, found in scores.items()
        for measure, asked in MEASURES.items()
    ]
    if "--json" in sys.argv[1:]:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        report(rows)


if __name__ == "__main__":
    main()
