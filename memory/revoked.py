"""Which commands count no longer, by what takes back and what takes that back again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memfold.schemas.records import TakenBack

Revocation = tuple[str, Sequence[TakenBack]]
"""A command that takes back, and what."""


class Revoked:
    """Asked with a command and a memory: what a command did to one memory may be taken back alone.

    What takes back is a command too. It stands behind what it takes back, so going from the last to the first each is known to be
    in force or not before its own word counts.
    """

    def __init__(self, revocations: Iterable[Revocation]) -> None:
        """`revocations` in log order."""
        self._revocations = list(revocations)
        self._named = {one.memory_id for _, taken in self._revocations for one in taken}
        self._of: dict[str, frozenset[str]] = {}

    def __call__(self, command_id: str, memory_id: str = "") -> bool:
        """Whether what the command did to the memory counts no longer; without a memory, all that it did."""
        memory_id = memory_id if memory_id in self._named else ""
        if memory_id not in self._of:
            self._of[memory_id] = self._commands(memory_id)
        return command_id in self._of[memory_id]

    def _commands(self, memory_id: str) -> frozenset[str]:
        found: set[str] = set()
        for command_id, taken in reversed(self._revocations):
            if command_id not in found:
                found.update(one.command_id for one in taken if one.memory_id in ("", memory_id))
        return frozenset(found)
