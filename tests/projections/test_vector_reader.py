"""What a reader in any process sees of commits, generations and damage."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lancedb.table import AsyncTable

from memfold.memory.errors import ShardDamaged
from memfold.projections.generations import Generations
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.projections.vector_reader import ServedTables
from memfold.schemas.partitions import partition_of
from memfold.schemas.records import Event
from tests.projections.vector_store import ALEX, ANYONE, PARTITIONS, QUERY, Store
from tests.projections.vector_store import events as events
from tests.projections.vector_store import index as index
from tests.projections.vector_store import store as store


async def test_nothing_is_there_before_the_first_write(
    store: Store, index: LanceMemoryIndex, tmp_path: Path
) -> None:
    bare = LanceMemoryIndex(Generations(tmp_path / "nowhere", "vector"), PARTITIONS)
    for empty in (index, bare):
        assert await empty.search(ALEX.tenant, ALEX.subject, ANYONE, QUERY, 5) == []
        assert await empty.current(ALEX.tenant, None, ANYONE, 5) == []
        assert await empty.find(ALEX.tenant, ["x"]) == []
        assert [await empty.position(partition) for partition in range(PARTITIONS)] == [-1] * PARTITIONS
    await bare.close()


async def test_every_commit_is_seen_at_once(
    store: Store, index: LanceMemoryIndex, events: list[Event]
) -> None:
    for event in events[:40]:
        store.feed([event])
        partition = partition_of(event.envelope.tenant, event.envelope.subject, PARTITIONS)
        assert await index.position(partition) == store.shards[partition].position().offset
        added = [done.memory_id for done in event.body.operations if done.op == "ADD"]
        assert {row.memory_id for row in await index.find(event.envelope.tenant, added)} == set(added)


async def test_a_reader_follows_the_pointer(
    store: Store, index: LanceMemoryIndex, events: list[Event]
) -> None:
    store.feed(events)
    before = await index.current(ALEX.tenant, None, ANYONE, None)
    store.close()
    generation = store.generations.create_next()
    store.open(generation)
    assert await index.current(ALEX.tenant, None, ANYONE, None) == before
    store.generations.serve(generation)
    assert await index.current(ALEX.tenant, None, ANYONE, None) == []
    assert await index.position(0) == -1
    store.feed(events)
    store.generations.remove("g0001")
    assert await index.current(ALEX.tenant, None, ANYONE, None) == before
    store.generations.serve(store.generations.create_next())
    assert await index.current(ALEX.tenant, None, ANYONE, None) == []


async def test_a_generation_that_goes_away_while_it_is_read_is_asked_for_no_longer(
    store: Store, index: LanceMemoryIndex, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.feed(events)
    before = await index.current(ALEX.tenant, None, ANYONE, None)
    store.close()
    generation = store.generations.create_next()
    store.open(generation)
    store.feed(events)
    seen = store.generations.pointer()

    pointers = iter([seen, seen, seen])
    real = Generations.pointer

    def late(self: Generations) -> object:
        """The pointer moves right after the reader has looked at it."""
        return next(pointers, None) or real(self)

    store.generations.serve(generation)
    store.generations.remove("g0001")
    monkeypatch.setattr(Generations, "pointer", late)
    assert await index.current(ALEX.tenant, None, ANYONE, None) == before


async def test_a_reader_that_was_opening_an_old_generation_leaves_nothing_of_it(
    store: Store, index: LanceMemoryIndex, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer moves, and others read on, while one reader waits for the old generation's table."""
    store.feed(events)
    opening, go_on = asyncio.Event(), asyncio.Event()
    real = ServedTables._open

    async def slow(self: ServedTables, path: Path) -> AsyncTable:
        if path.parent.name == "g0001" and not opening.is_set():
            opening.set()
            await go_on.wait()
        return await real(self, path)

    monkeypatch.setattr(ServedTables, "_open", slow)
    waiting = asyncio.create_task(index.position(0))
    await opening.wait()
    store.close()
    store.open("g0002")
    store.generations.serve("g0002")
    assert await index.position(0) == -1
    go_on.set()
    await waiting
    assert await index.position(0) == -1


async def test_damage_is_named_with_the_way_out(
    store: Store, index: LanceMemoryIndex, events: list[Event]
) -> None:
    store.feed(events)
    store.close()
    for file in store.generations.shard_path("g0001", 0).parent.rglob("*.lance"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.raises(ShardDamaged, match=r"g0001/p000\d cannot be read; `memfold replay rebuild`"):
        await index.current(ALEX.tenant, None, ANYONE, None)
