"""The ways in which an endpoint misbehaves, and a model spoils its answer."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import msgspec

FaultName = Literal[
    "latency", "401", "400", "429", "500", "timeout", "hangup", "not_json",
    "prose", "fence", "thinking", "reasoning", "trailing_comma", "bare_list",
    "truncated", "cut_off", "refusal", "empty", "huge", "unknown_integer",
    "nan", "wrong_dimension", "zero", "too_few",
]  # fmt: skip
FAULTS = frozenset(get_args(FaultName))


class Fault(NamedTuple):
    name: str
    seconds: float = 0.0


def spoilt(answer: dict[str, Any], fault: str) -> str:
    """The answer in words, in the form or with the mistake that was ordered."""
    if fault == "unknown_integer":
        for fact in answer.get("facts", []):
            fact["message"] = 99
        for decision in answer.get("decisions", []):
            decision.update(op="DELETE", id=99)
        for ranked in answer.get("ranked", [])[-1:]:
            ranked["id"] = 99
    text = msgspec.json.encode(answer).decode()
    forms = {
        "prose": f'Sure! Here is what I found [as JSON]:\n{text}\nLet me know if {{you}} need "more".',
        "fence": f"```json\n{text}\n```",
        "thinking": f"<think>The user wants {{facts}}: []</think>{text}",
        "reasoning": f'<reasoning>{{"facts": [], "decisions": []}} or not?</reasoning>{text}',
        "trailing_comma": text.replace("}]", "},]"),
        "bare_list": msgspec.json.encode(next(iter(answer.values()))).decode(),
        "truncated": text[: len(text) * 2 // 3],
        "huge": " " * 1_000_000 + text,
    }
    return forms.get(fault, text)
