"""What is held of a subject whose state is not in memory: enough to see that what is said now was not said before.

Most of what is kept as it was said is new, and to see that takes a hash of each memory and not the memory: 100 bytes instead of 2,000.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

from memfold.memory.state import SubjectState
from memfold.memory.texts import same_key
from memfold.memory.understanding import kept_as_said
from memfold.schemas.records import AddRequested, Command, MemoriesDecided, Scope


class Outline:
    """Of one subject, as of its newest event, by the text and scope of each of its memories. A hash that two of them share costs a look
    at the state, nothing more.
    """

    __slots__ = ("_said",)

    def __init__(self, texts: Iterable[tuple[str, Scope]]) -> None:
        self._said = {_hash(text, scope) for text, scope in texts}

    @classmethod
    def of(cls, state: SubjectState) -> Outline:
        return cls((known.text, known.scope) for known in state.memories.values())

    @property
    def size(self) -> int:
        """What it counts for, where room is kept: one more than its memories."""
        return len(self._said) + 1

    def suffices(self, command: Command) -> bool:
        """Whether an empty state decides the command as the subject's own would: everything is kept as said, and nothing is a repeat."""
        if not may_suffice(command):
            return False
        told = kept_as_said(command)
        return self._said.isdisjoint(_hash(message.content, scope) for _, _, message, scope in told)

    def fold(self, body: MemoriesDecided) -> None:
        """Apply what came of a command that `suffices` said yes to."""
        self._said.update(_hash(done.text, done.scope) for done in body.operations)


def may_suffice(command: Command) -> TypeGuard[AddRequested]:
    """Whether there is an outline that would suffice for the command."""
    return isinstance(command, AddRequested) and not command.infer


def _hash(text: str, scope: Scope) -> int:
    return hash((same_key(text), scope))
