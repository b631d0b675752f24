"""Memories as JSONL: one memory a line, UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from memfold.memory.errors import InvalidInput
from memfold.replay.mem0_store import Offered


def lines_of(path: Path) -> Iterator[Offered]:
    """What stands in each line of a file; empty lines are passed over. Raises InvalidInput where there is no such file."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _offered(f"line {number}", line)
    except OSError as wrong:
        raise InvalidInput(f"{path} cannot be read: {wrong}") from None


def _offered(place: str, line: bytes) -> Offered:
    try:
        return Offered(place, object_in(line, "a memory"))
    except InvalidInput as wrong:
        return Offered(place, {}, str(wrong))


def object_in(text: bytes, what: str) -> dict[str, Any]:
    """The JSON object that a line or a record is. Raises InvalidInput; `what` names it there."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise InvalidInput(f"no JSON: {wrong}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{what} must be a JSON object, not {type(found).__name__}")
    return found


def written(memories: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each memory."""
    for memory in memories:
        yield json.dumps(memory, ensure_ascii=False) + "\n"
