"""A filter lets the same memories pass everywhere: written plainly, as a tree, and as LanceDB carries out what was compiled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from msgspec.json import encode

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.filters import All, Condition, Either, Filter, Not, parsed
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow
from memfold.projections.base import Position
from memfold.projections.generations import Generations
from memfold.projections.vector_conditions import DEEPEST, compiled
from memfold.projections.vector_fold import micros
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.projections.vector_rows import Row
from memfold.projections.vector_table import VectorTable
from memfold.schemas.records import Scope
from tests.filter_meaning import Plain, filters, memories, passes, plain, row_of
from tests.projections.vector_store import QUERY
from tests.strategies import DIMENSIONS, unit_vector

SEARCHED = "acme", "subject", Scope()


def stored(row: MemoryRow) -> Row:
    return Row(
        f"{row.memory_id}:1", row.tenant, row.subject, row.memory_id, row.version, row.text, *row.scope.ids(), row.role,
        row.metadata, encode(row.relations).decode(), micros(row.created_at), micros(row.updated_at), micros(row.valid_from),
        None, None, 1, row.kind, row.pending, "", 0, "", 1, 0, unit_vector(int(row.memory_id)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> list[MemoryRow]:
    """Eighty random memories, always the same."""
    drawn: list[Plain] = []

    @settings(max_examples=80, derandomize=True, database=None, deadline=None)
    @given(memories)
    def draw(memory: Plain) -> None:
        drawn.append(memory)

    draw()
    return [row_of(memory, str(number)) for number, memory in enumerate(drawn)]


@pytest.fixture(scope="module")
def index(rows: list[MemoryRow], tmp_path_factory: pytest.TempPathFactory) -> LanceMemoryIndex:
    root: Path = tmp_path_factory.mktemp("filters")
    generations = Generations(root, "vector")
    table = VectorTable(generations.shard_path("g0001", 0), DIMENSIONS)
    table.commit([stored(row) for row in rows], Position(offset=1), all_new=True)
    return LanceMemoryIndex(generations, 1)


def tree_of(given: Plain) -> Filter:
    """The tree; a filter that may not be written is no example."""
    try:
        return parsed(given, {})
    except (InvalidInput, InvalidType):
        assume(False)
        raise


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
)
@given(filters, memories)
def test_the_tree_means_what_the_filter_says(given: Plain, memory: Plain) -> None:
    assert matches(tree_of(given), row_of(memory)) == passes(given, memory)


def test_lance_finds_what_the_filter_says(rows: list[MemoryRow], index: LanceMemoryIndex) -> None:
    with asyncio.Runner() as runner:

        @settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
        @given(filters)
        @example({"NOT": {"agent_id": "kim"}})
        @example({"memory": {"contains": "'"}, "version": {"gte": 2}})
        @example({"created_at": {"gte": "2026-03-02T00:00:00+00:00", "lt": "2026-03-04T00:00:00+00:00"}})
        def same(given: Plain) -> None:
            tree = tree_of(given)
            wanted = {row.memory_id for row in rows if passes(given, plain(row))}
            found = runner.run(index.current(*SEARCHED, None, tree))
            assert {row.memory_id for row in found} == wanted
            hits = runner.run(index.search(*SEARCHED, QUERY, 5, tree))
            every = runner.run(index.search(*SEARCHED, QUERY, 1000))
            assert [hit.row.memory_id for hit in hits] == [
                hit.row.memory_id for hit in every if hit.row.memory_id in wanted
            ][:5]

        same()
        runner.run(index.close())


def test_what_lance_can_tell_is_left_to_lance() -> None:
    tree = parsed(
        {"agent_id": ["a", "b"], "OR": [{"role": "user"}, {"version": {"gt": 1}}]}, {"user_id": "alex"}
    )
    conditions, rest = compiled(tree)
    assert len(conditions) == 3
    assert rest is None
    conditions, rest = compiled(parsed({"topic": "work", "memory": {"icontains": "x"}}, {"user_id": "alex"}))
    assert len(conditions) == 1
    assert rest == All((Condition("metadata.topic", "eq", "work"), Condition("memory", "icontains", "x")))


@given(st.text(max_size=20))
def test_a_value_cannot_end_its_literal(value: str) -> None:
    (condition,) = compiled(Condition("memory", "eq", value)).conditions
    inner = condition.removeprefix("(text IS NOT NULL AND text = '").removesuffix("')")
    assert inner.replace("''", "").count("'") == 0
    assert inner.replace("''", "'") == value


async def test_as_deep_as_lance_can_parse(rows: list[MemoryRow], index: LanceMemoryIndex) -> None:
    tree: Filter = Condition("version", "gte", 2)
    for _ in range(DEEPEST + 3):
        tree = Not(Either((All((Not(tree), Condition("role", "ne", "nobody"))),)))
        wanted = {row.memory_id for row in rows if matches(tree, row)}
        assert {
            row.memory_id
            for row in await LanceMemoryIndex(index.tables.generations, 1).current(*SEARCHED, None, tree)
        } == wanted
