"""The indices of a shard that searches across subjects use: of meanings, of words and of scopes, built and kept by its only writer.

A search inside a subject needs none of them. They are derived from the rows as the rows are from the log: no digest knows them, a
crash while one is built leaves the table as it was, and the next upkeep builds it (vector_building.py). LanceDB finds rows that are
newer than an index as well, by comparing each of them; its `optimize` takes them in.

1-bit RaBitQ, because it is built in 40 % of the time of 8-bit scalar quantisation, and in a third of the space; its distances are far
off, so a search computes the exact ones of some more than it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from lancedb.index import FTS, Bitmap, BTree, IvfRq

from memfold.memory.errors import InvalidInput

MEANING, WORDS = "vector", "text"
"""The columns that are searched."""
SCOPES = {"tenant": Bitmap, "valid_to": BTree, "agent_id": Bitmap, "run_id": BTree}
"""What says whether a row is in a scope: without indices of it, asking that of 250,000 rows takes twice the time of the search."""
GROWTH = 4
"""An index is made anew when the table has so many times the rows that it was made for: what it divides them by is chosen then."""
_NAME = "meaning_of_"


class WideIndices:
    """Of one table, for its writer. `above`: rows from which on they are built; None: never."""

    def __init__(self, above: int | None) -> None:
        if above is not None and above < 1:
            raise InvalidInput(f"index_above is {above}; it must be at least 1, or None for no indices")
        self._above = above

    def steps(self, table: Any) -> list[Callable[[], object]]:
        """What is to be built, or taken away because it is outgrown; each is one commit, of up to 15 seconds for 250,000 rows."""
        rows = table.count_rows(f"{MEANING} IS NOT NULL")
        if self._above is None or rows < self._above:
            return []
        indices = [*table.list_indices()]
        meanings = sorted((index.name for index in indices if MEANING in index.columns), key=_rows_of)
        # A name of its own for each size, as nothing else tells what an index was made for. The old one goes when the new one is there.
        new: list[Callable[[], object]] = []
        if not meanings or rows >= GROWTH * _rows_of(meanings[-1]):
            new.append(partial(table.create_index, MEANING, config=IvfRq("cosine"), name=f"{_NAME}{rows}"))
        outgrown = [partial(table.drop_index, name) for name in (meanings if new else meanings[:-1])]
        there = names_of(indices)
        kinds = {WORDS: FTS, **SCOPES}
        missing = [column for column in kinds if column not in there]
        return [
            *new,
            *outgrown,
            *(partial(table.create_index, column, config=kinds[column]()) for column in missing),
        ]


def names_of(indices: Iterable[Any]) -> dict[str, str]:
    """The name of the index of each column that has one."""
    return {column: index.name for index in indices for column in index.columns}


def _rows_of(name: str) -> int:
    """How many rows there were when the index was made; 0 without one."""
    return int(name.removeprefix(_NAME)) if name.startswith(_NAME) else 0
