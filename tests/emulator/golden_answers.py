"""What a perfect model answers to the golden example; every other sentence is a fact without relations, and new."""

from __future__ import annotations

import json
from typing import Any


def answer_to(prompt: str) -> dict[str, Any]:
    """The answer to the user's part of a prompt, told by the tag around its JSON."""
    tag, _, rest = prompt.removeprefix("<").partition(">")
    data = json.loads(rest.rsplit("</", 1)[0])
    if tag == "messages":
        return {"facts": [fact for message in data["messages"] for fact in _facts(message, data["speaker"])]}
    if tag == "candidates":
        return {"decisions": [_decision(candidate) for candidate in data]}
    if tag == "memories":
        return {"ranked": [_relevance(memory, data["question"]) for memory in data["memories"]]}
    raise ValueError(f"a prompt about {tag!r}")


def _facts(message: dict[str, Any], speaker: str) -> list[dict[str, Any]]:
    said = str(message["said"])
    if said.rstrip(" .!").casefold() in {"hi", "hello", "thanks", "good morning"}:
        return []
    relations = {
        "i met sarah from google": [
            _relation(speaker, "PERSON", "MET", "Sarah", "PERSON"),
            _relation("Sarah", "PERSON", "WORKS_AT", "Google", "COMPANY"),
        ],
        "i like coffee": [_relation(speaker, "PERSON", "LIKES", "coffee", "DRINK")],
        "actually, i prefer tea now": [_relation(speaker, "PERSON", "PREFERS", "tea", "DRINK")],
    }.get(said.rstrip(" .!").casefold(), [])
    return [
        {
            "text": said,
            "kind": "preferences" if "coffee" in said or "tea" in said else "personal_details",
            "message": message["message"],
            "confidence": 0.9,
            "relations": relations,
        }
    ]


def _relation(
    source: str, source_type: str, relationship: str, target: str, target_type: str
) -> dict[str, Any]:
    return {
        "source": source,
        "source_type": source_type,
        "relationship": relationship,
        "target": target,
        "target_type": target_type,
        "confidence": 0.9,
        "ends": False,
    }


def _relevance(memory: dict[str, Any], question: str) -> dict[str, Any]:
    """The share of the question's words that the memory says."""
    asked = set(question.casefold().replace("?", "").split())
    said = set(str(memory["text"]).casefold().replace(".", "").split())
    return {"id": memory["id"], "relevance": len(asked & said) / max(1, len(asked))}


def _decision(candidate: dict[str, Any]) -> dict[str, Any]:
    text = str(candidate["text"])
    decision = {"fact": candidate["fact"], "op": "ADD", "id": None, "text": text}
    for similar in candidate["similar"]:
        if similar["text"].casefold() == text.casefold():
            return {**decision, "op": "NONE", "id": similar["id"]}
        if "prefer tea now" in text and "like coffee" in similar["text"]:
            return {**decision, "op": "UPDATE", "id": similar["id"]}
    return decision
