"""A model that answers from the golden dialogues, through a real endpoint: everything but the model is under test."""

from __future__ import annotations

import json
from typing import Any

from memfold.memory.facts import FoundRelation
from memfold.memory.texts import plain_words
from tests.understanding.dialogues import Dialogue, Expected, Step


class PerfectModel:
    """Answers prompts about one dialogue; `step` is the one that is being played."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self.step: Step = dialogue.steps[0]

    def __call__(self, prompt: str) -> dict[str, Any]:
        tag, _, rest = prompt.removeprefix("<").partition(">")
        data = json.loads(rest.rsplit("</", 1)[0])
        if tag == "messages":
            return {"facts": [_found(fact, data["messages"]) for fact in self.step.facts]}
        return {"decisions": [one for candidate in data for one in self._decisions(candidate)]}

    def _decisions(self, candidate: dict[str, Any]) -> list[dict[str, Any]]:
        """One for a fact; two where a memory goes and another comes in its place."""
        fact = next(fact for fact in self.step.facts if fact.text == candidate["text"])
        added = {"fact": candidate["fact"], "op": "ADD", "id": None, "text": fact.text}
        if fact.op == "ADD":
            return [added]
        (earlier,) = [one for step in self._dialogue.steps for one in step.facts if one.id == fact.of]
        shown = next(s["id"] for s in candidate["similar"] if s["text"] == earlier.memory)
        decided = {"fact": candidate["fact"], "op": fact.op, "id": shown, "text": fact.memory}
        return [decided, added] if fact.op == "DELETE" else [decided]


def _found(fact: Expected, messages: list[dict[str, Any]]) -> dict[str, Any]:
    words = set(plain_words(fact.text))
    told_in = max(messages, key=lambda message: len(words & set(plain_words(message["said"]))))
    return {
        "text": fact.text,
        "kind": fact.kind,
        "message": told_in["message"],
        "confidence": 0.9,
        "when": fact.when,
        "relations": [
            *(_relation(relation, fact, ends=False) for relation in fact.relations),
            *(_relation(FoundRelation(*ended), fact, ends=True) for ended in sorted(fact.ended)),
        ],
    }


def _relation(relation: FoundRelation, fact: Expected, ends: bool) -> dict[str, Any]:
    return {
        "source": relation.source,
        "source_type": relation.source_type,
        "source_which": relation.source_which,
        "relationship": fact.called.get(relation.relationship, relation.relationship),
        "target": relation.target,
        "target_type": relation.target_type,
        "target_which": relation.target_which,
        "confidence": 0.9,
        "ends": ends,
        "at": "",
    }
