"""A served vector projection as its workers write it, and a reader beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from msgspec.structs import replace

from memfold.projections import vector
from memfold.projections.base import Position, fenced
from memfold.projections.generations import Generations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.schemas.partitions import partition_of
from memfold.schemas.records import Event, Scope
from tests.projections.shard_contract import feed
from tests.strategies import DIMENSIONS, OWNERS, history, unit_vector

PARTITIONS = 3
ANYONE = Scope()
ALEX, KIM, OTHER_TENANT = OWNERS
QUERY = np.frombuffer(unit_vector(99), "<f2").astype(np.float32)


def by_partition(events: list[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {partition: [] for partition in range(PARTITIONS)}
    for event in events:
        partition = partition_of(event.envelope.tenant, event.envelope.subject, PARTITIONS)
        found[partition].append(replace(event, partition=partition))
    return found


class Store:
    """Writes to the served generation as the workers do."""

    def __init__(self, root: Path) -> None:
        self.generations = Generations(root, "vector")
        self.open("g0001")

    def open(self, generation: str) -> None:
        self.shards = [
            VectorShard(self.generations.shard_path(generation, partition), partition, DIMENSIONS)
            for partition in range(PARTITIONS)
        ]

    def feed(self, events: list[Event]) -> None:
        for partition, mine in by_partition(events).items():
            if mine:
                feed(self.shards[partition], mine)

    def close(self) -> None:
        for shard in self.shards:
            shard.close()


@pytest.fixture
def events() -> list[Event]:
    # Clears of a whole tenant would leave too little to find.
    return [event for event in fenced(history(Random(21), 170), Position())[0] if not event.body.clears]


@pytest.fixture(params=[1_000, 7], ids=["in the tail", "committed often"])
def store(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(vector, "ROWS", request.param)
    store = Store(tmp_path)
    yield store
    store.close()


@pytest.fixture
async def index(store: Store) -> AsyncIterator[LanceMemoryIndex]:
    index = LanceMemoryIndex(store.generations, PARTITIONS)
    yield index
    await index.close()
