"""A search of a store with any filter: what the store cannot tell is asked in Python, of as many more rows as that takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Lock

import numpy as np
from msgspec import Struct

from memfold.memory.errors import InvalidInput
from memfold.memory.filters import All, Filter
from memfold.memory.matching import matches
from memfold.memory.ports import Hit
from memfold.projections.vector_memory import memory_row
from memfold.schemas.records import Scope
from memfold.stores.conditions import compiled, inside, standing
from memfold.stores.port import Asked, VectorStore

_MORE = 4


class NearestAsked(Struct, frozen=True):
    """What `MemoryIndex.search` is asked, with the query's text, and the moment whose versions are wanted (None: now).

    `vector`: float32, little-endian, made by the embedder `model`.
    """

    tenant: str
    subject: str | None
    scope: Scope
    vector: bytes
    text: str
    limit: int
    only: Filter = All()
    as_of: datetime | None = None
    model: str = ""


def nearest(store: VectorStore, turn: Lock, asked: NearestAsked) -> list[Hit]:
    """The nearest rows that pass, best first, without their vectors. Raises StoreUnavailable, StoreRefused, InvalidInput.

    Asks for more and more until enough rows pass or the store has no more; a store that gives no more than some number at a
    time raises StoreRefused then, so a row is never left out in silence.
    """
    vector = np.frombuffer(asked.vector, "<f4")
    if not np.isfinite(vector).all() or not vector.any():
        raise InvalidInput("a vector that is not finite, or zero, has no direction to search in")
    tests, rest = compiled(asked.only)
    tests = (*inside(asked.tenant, asked.subject, asked.scope), *standing(asked.as_of), *tests)
    wanted = asked.limit if rest is None else _MORE * asked.limit
    while True:
        with turn:
            found = store.search(Asked(vector, asked.text, tests, wanted))
        passing = _those(rest)
        hits = [Hit(row, one.score) for one in found if passing(row := memory_row(one.row))]
        if len(hits) >= asked.limit or len(found) < wanted:
            return hits[: asked.limit]
        wanted *= _MORE


def _those(rest: Filter | None) -> Callable[..., bool]:
    return (lambda row: True) if rest is None else (lambda row: matches(rest, row))
