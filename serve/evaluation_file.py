"""What `memfold eval` reads: memories, and questions with the memories that answer them, as JSON.

{"memories": [{"id", "text", "speaker", "said_at", "run_id", "scope"}], "questions": [{"question", "evidence": [ids], "category",
"scope"}]}. Of a memory id and text have to be there, of a question its words and its evidence. `scope` keeps several people
apart: a question is asked of the memories with its scope.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from memfold.memory.errors import InvalidInput


class Remembered(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    speaker: str | None = None
    said_at: str | None = None
    run_id: str | None = None
    scope: str = "someone"


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    question: str
    evidence: list[str]
    category: str = "all"
    scope: str = "someone"


class Material(Struct, frozen=True, forbid_unknown_fields=True):
    memories: list[Remembered]
    questions: list[Asked]


def material_from(path: Path) -> Material:
    """Raises InvalidInput naming what does not fit."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Material)
    except OSError as missing:
        raise InvalidInput(f"{path} cannot be read: {missing.strerror}") from None
    except msgspec.DecodeError as wrong:
        raise InvalidInput(
            f'{path}: {wrong}; write {{"memories": [{{"id", "text"}}], "questions": [{{"question", "evidence"}}]}}'
        ) from None
    known = {memory.id for memory in found.memories}
    for asked in found.questions:
        if not asked.evidence or not known.issuperset(asked.evidence):
            raise InvalidInput(
                f"{path}: the question {asked.question!r} has the evidence {asked.evidence}; it must name ids of the memories"
            )
    if not found.questions:
        raise InvalidInput(f"{path} has no questions; there is nothing to measure")
    return found
