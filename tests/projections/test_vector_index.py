"""What a reader finds: against a brute-force search over the rows that were written."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from msgspec.structs import replace

from memfold.memory.errors import InvalidInput
from memfold.memory.ports import MemoryRow
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.schemas.records import Event, Scope
from tests.projections.vector_store import ALEX, ANYONE, KIM, OTHER_TENANT, QUERY, Store
from tests.projections.vector_store import events as events
from tests.projections.vector_store import index as index
from tests.projections.vector_store import store as store
from tests.strategies import history


def cosine(row: MemoryRow) -> float:
    vector = np.frombuffer(row.vector, "<f2").astype(np.float32)
    return float(vector @ QUERY / np.linalg.norm(vector) / np.linalg.norm(QUERY))


async def test_search_is_exact(store: Store, index: LanceMemoryIndex, events: list[Event]) -> None:
    store.feed(events)
    for tenant, subject in [(ALEX.tenant, ALEX.subject), (KIM.tenant, KIM.subject), (ALEX.tenant, None)]:
        for scope in (
            ANYONE,
            Scope(user_id="alex"),
            Scope(agent_id="a'b"),
            Scope(run_id="run-1", actor_id="bot"),
        ):
            rows = await index.current(tenant, subject, scope, None)
            best = sorted(rows, key=lambda row: -cosine(row))[:5]
            hits = await index.search(tenant, subject, scope, QUERY, 5)
            assert [hit.row.memory_id for hit in hits] == [row.memory_id for row in best]
            assert [hit.score for hit in hits] == pytest.approx([cosine(row) for row in best], abs=1e-4)
            assert [hit.row for hit in hits] == best


async def test_current_is_what_the_scope_covers(
    store: Store, index: LanceMemoryIndex, events: list[Event]
) -> None:
    store.feed(events)
    everything = await index.current(ALEX.tenant, None, ANYONE, None)
    assert {row.subject for row in everything} == {ALEX.subject, KIM.subject}
    assert len({row.memory_id for row in everything}) == len(everything) > 30
    assert everything == sorted(everything, key=lambda row: (row.created_at, row.memory_id))
    for scope in (
        Scope(user_id="kim"),
        Scope(agent_id="planner"),
        Scope(run_id="run-1", actor_id="alex"),
        Scope(user_id="x"),
    ):
        inside = [row for row in everything if scope.covers(row.scope)]
        assert await index.current(ALEX.tenant, None, scope, None) == inside
        assert await index.current(ALEX.tenant, None, scope, 3) == inside[:3]
    for subject in (ALEX.subject, KIM.subject):
        told = [(row.text, row.scope) for row in everything if row.subject == subject]
        assert Counter(await index.texts(ALEX.tenant, subject)) == Counter(told)
    assert await index.texts(ALEX.tenant, "nobody") == []
    mine = await index.current(ALEX.tenant, ALEX.subject, ANYONE, None)
    assert mine == [row for row in everything if row.subject == ALEX.subject]


async def test_a_row_is_what_was_written(store: Store, index: LanceMemoryIndex) -> None:
    one = [
        event for event in history(Random(4), 400) if len(event.body.operations) == 1 and event.body.relations
    ]
    event = next(event for event in one if event.body.operations[0].op == "ADD")
    event = replace(event, envelope=replace(event.envelope, tenant=ALEX.tenant, subject=ALEX.subject))
    (added,) = event.body.operations
    store.feed([event])
    (row,) = await index.find(ALEX.tenant, [added.memory_id])
    said_at = added.said_at or event.recorded_at
    assert row == MemoryRow(
        tenant=ALEX.tenant,
        subject=ALEX.subject,
        memory_id=added.memory_id,
        version=1,
        text=added.text,
        scope=added.scope,
        created_at=said_at,
        updated_at=said_at,
        valid_from=event.recorded_at,
        valid_to=None,
        role=added.role,
        metadata=added.metadata,
        relations=event.body.relations,
        vector=added.vector or b"",
        kind=added.kind,
        pending=added.pending,
        said=added.said,
        said_count=added.said_count,
        when=added.when,
        added_offset=event.offset,
    )


async def test_what_is_pending_is_counted_by_subject(
    store: Store, index: LanceMemoryIndex, events: list[Event]
) -> None:
    store.feed(events)
    rows = await index.current(ALEX.tenant, None, ANYONE, None)
    waiting = Counter(row.subject for row in rows if row.pending)
    assert waiting
    assert await index.pending(ALEX.tenant) == waiting


async def test_find_looks_into_every_partition_of_the_tenant(
    store: Store, index: LanceMemoryIndex, events: list[Event]
) -> None:
    store.feed(events)
    rows = await index.current(ALEX.tenant, None, ANYONE, None)
    theirs = await index.current(OTHER_TENANT.tenant, None, ANYONE, None)
    asked = [row.memory_id for row in reversed(rows)]
    assert (
        await index.find(ALEX.tenant, [*asked, "unknown", "' OR 1=1 --", theirs[0].memory_id, asked[0]])
        == rows[::-1]
    )
    assert await index.find(OTHER_TENANT.tenant, asked) == []
    assert await index.find(ALEX.tenant, []) == []


async def test_another_tenant_is_never_in_an_answer(
    store: Store, index: LanceMemoryIndex, events: list[Event]
) -> None:
    store.feed(events)
    for scope in (
        ANYONE,
        Scope(user_id="alex"),
        Scope(user_id="' OR 1=1 --"),
        Scope(agent_id="' OR tenant = 'zeta"),
    ):
        for tenant in (ALEX.tenant, OTHER_TENANT.tenant, "' OR 1=1 --"):
            hits = await index.search(tenant, None, scope, QUERY, 1000)
            rows = await index.current(tenant, None, scope, None)
            assert {row.tenant for row in [*rows, *(hit.row for hit in hits)]} <= {tenant}
            assert {hit.row.memory_id for hit in hits} == {row.memory_id for row in rows if row.vector}
        assert await index.current(ALEX.tenant, OTHER_TENANT.subject, scope, None) == []


async def test_a_memory_without_a_vector_is_listed_and_not_searched(
    store: Store, index: LanceMemoryIndex, events: list[Event]
) -> None:
    first = next(event for event in events if event.body.operations)
    bare = [replace(done, vector=None) for done in first.body.operations]
    store.feed([replace(first, body=replace(first.body, operations=bare))])
    tenant, subject = first.envelope.tenant, first.envelope.subject
    assert len(await index.current(tenant, subject, ANYONE, None)) == len(bare)
    assert await index.search(tenant, subject, ANYONE, QUERY, 10) == []


@pytest.mark.parametrize(
    "vector", [np.zeros(4), np.array([1, np.nan, 0, 0]), np.array([np.inf, 0, 0, 0]), np.ones((1, 4))]
)
async def test_a_vector_without_direction_is_refused(index: LanceMemoryIndex, vector: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="finite, non-zero"):
        await index.search(ALEX.tenant, None, ANYONE, vector.astype(np.float32), 5)
