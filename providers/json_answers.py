"""Reads the JSON that a chat model meant to give: bare, fenced, after some prose, with trailing commas, or a bare list.

It never completes what was cut off: half an answer read as a whole one would drop facts in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal, NoReturn, TypeVar

import msgspec

from memfold.memory.errors import MemfoldError

T = TypeVar("T")
JsonMode = Literal["schema", "object", "text"]
"""How an endpoint is told to answer in JSON: by a schema, by asking for any object, or only in words."""

_FENCE = re.compile(r"```[\w-]*\n?(.*?)```", re.DOTALL)
_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>")
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
_CLOSES = {"{": "}", "[": "]"}


class UnusableAnswer(MemfoldError, ValueError):
    """A model's answer is not what it was asked for. Do: nothing; it is asked again, and then counts as unavailable."""


def read_answer(text: str, kind: type[T], list_of: str) -> T:
    """The first JSON value in `text` that has the form of `kind`; a bare list counts as `{list_of: [...]}`.

    Raises UnusableAnswer if there is none, or if the JSON is cut off. An empty list counts only where it is all there is.
    """
    text = text.strip().removeprefix("\ufeff").strip()
    thoughts = _THOUGHTS.match(text)
    if thoughts:
        text = text.partition(f"</{thoughts[1]}>")[2].strip()
    wrong = "it holds no JSON"
    for value in _values(text):
        try:
            return msgspec.convert({list_of: value} if isinstance(value, list) else value, kind, strict=False)
        except msgspec.ValidationError as error:
            wrong = str(error)
    raise UnusableAnswer(f"the answer cannot be used: {wrong}")


def _values(text: str) -> Iterator[object]:
    """JSON values, the likeliest first: the whole text, what is in fences, what stands in brackets inside prose."""
    for whole in (text, *(fence.strip() for fence in _FENCE.findall(text))):
        value = _parsed(whole)
        if isinstance(value, dict | list):
            yield value
    for part in _bracketed(text):
        value = _parsed(part)
        if isinstance(value, dict) or (isinstance(value, list) and value):
            yield value


def _parsed(text: str) -> object:
    """The value, with trailing commas forgiven; None if it is no JSON."""
    for attempt in (text, _STRING_OR_COMMA.sub(lambda match: match[1] or "", text)):
        try:
            return json.loads(attempt, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
    return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _bracketed(text: str) -> Iterator[str]:
    """Outermost {...} and [...], from left to right; stops where one is never closed, for the answer is cut off there."""
    start = 0
    while (opening := re.compile(r"[{\[]").search(text, start)) is not None:
        end = _closing(text, opening.start())
        if end is None:
            return
        yield text[opening.start() : end]
        start = end


def _closing(text: str, start: int) -> int | None:
    """Where the bracket at `start` is closed, brackets inside strings left aside; None if it is not."""
    expected: list[str] = []
    for match in re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL).finditer(text, start):
        found = match[0]
        if found in _CLOSES:
            expected.append(_CLOSES[found])
        elif found in "}]":
            if expected.pop() != found:
                return None
            if not expected:
                return match.end()
    return None
