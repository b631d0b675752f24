"""What is kept of a subject's state that is put out of memory: enough to see that what is said now was not said before.

Most of what is kept as it was said is new, and to see that takes a hash of each memory and not the memory: 100 bytes instead of 2,000.
"""

from __future__ import annotations

from memfold.memory.state import SubjectState
from memfold.memory.texts import same_key
from memfold.memory.understanding import kept_as_said
from memfold.schemas.records import AddRequested, Command, MemoriesDecided, Scope


class Outline:
    """Of one subject, as of its newest event. A hash that two memories share costs a look at the state, nothing more."""

    __slots__ = ("_said",)

    def __init__(self, state: SubjectState) -> None:
        self._said = {_hash(known.text, known.scope) for known in state.memories.values()}

    @property
    def size(self) -> int:
        """What it counts for, where room is kept: one more than its memories."""
        return len(self._said) + 1

    def suffices(self, command: Command) -> bool:
        """Whether an empty state decides the command as the subject's own would: everything is kept as said, and nothing is a repeat."""
        if not isinstance(command, AddRequested) or command.infer:
            return False
        told = kept_as_said(command)
        return self._said.isdisjoint(_hash(message.content, scope) for _, _, message, scope in told)

    def fold(self, body: MemoriesDecided) -> None:
        """Apply what came of a command that `suffices` said yes to."""
        self._said.update(_hash(done.text, done.scope) for done in body.operations)


def _hash(text: str, scope: Scope) -> int:
    return hash((same_key(text), scope))
