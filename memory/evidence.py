"""Which memories are evidence of relations of what, and what a relation joins."""

from __future__ import annotations

from collections.abc import Sequence

from memfold.memory.ports import MemoryRow
from memfold.memory.wording import words


class Evidence:
    """Entities by the words of their names, the places of the memories that are evidence of each, and what it is joined with."""

    def __init__(self, rows: Sequence[MemoryRow]) -> None:
        self.names: dict[tuple[str, ...], set[str]] = {}
        self.places: dict[str, set[int]] = {}
        self.beside: dict[str, set[str]] = {}
        for number, row in enumerate(rows):
            for relation in row.relations:
                ends = (
                    (relation.source_entity or relation.source.casefold(), relation.source),
                    (relation.target_entity or relation.target.casefold(), relation.target),
                )
                for entity, name in ends:
                    self.names.setdefault(tuple(words(name)), set()).add(entity)
                    self.places.setdefault(entity, set()).add(number)
                (one, _), (other, _) = ends
                self.beside.setdefault(one, set()).add(other)
                self.beside.setdefault(other, set()).add(one)
