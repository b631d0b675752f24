"""Searches of scopes that are too large to hold: what indices find against what is there, with filters, moments and rows that are new."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import lancedb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.memory.errors import ShardLocked
from memfold.memory.filters import All, Filter, parsed
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow
from memfold.memory.wide import Asked
from memfold.projections import vector, vector_table, vector_upkeep, vector_wide
from memfold.projections.base import Position, fenced
from memfold.projections.generations import Generations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_ann import MEANING, SCOPES, WORDS, WideIndices, names_of
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.projections.vector_wide import LanceWideIndex
from memfold.schemas.records import Event, Scope
from tests.projections.shard_contract import feed
from tests.strategies import history, unit_vector

DIMENSIONS, ROWS, NEW = 32, 300, 12
ANYONE = Scope()
INDEXED = {MEANING, WORDS, *SCOPES}


def told(seed: int, length: int) -> list[Event]:
    """Counted events without clears, which would leave too little to find."""
    events = fenced(history(Random(seed), length, dimensions=DIMENSIONS), Position())[0]
    return [event for event in events if not event.body.clears]


def indexed(path: Path) -> set[str]:
    return set(names_of(lancedb.connect(path).open_table("memories").list_indices()))


def meaning_of(path: Path) -> set[str]:
    """The names of the indices of meaning."""
    indices = lancedb.connect(path).open_table("memories").list_indices()
    return {index.name for index in indices if MEANING in index.columns}


@pytest.fixture(scope="module")
def generations(tmp_path_factory: pytest.TempPathFactory) -> Generations:
    """One shard with indices, and behind them some events that no index knows."""
    found = Generations(tmp_path_factory.mktemp("wide"), "vector")
    path, events = found.shard_path("g0001", 0), told(17, 700)
    with closing(VectorShard(path, 0, DIMENSIONS, index_above=ROWS)) as shard:
        feed(shard, events[:-NEW])
    assert indexed(path) >= INDEXED
    shard = VectorShard(path, 0, DIMENSIONS, index_above=None)
    feed(shard, events[-NEW:])
    shard._lock.close()  # left as a worker in full run leaves it: nothing was settled
    return found


def cosine(row: MemoryRow, query: np.ndarray) -> float:
    vector = np.frombuffer(row.vector, "<f2").astype(np.float32)
    return float(vector @ query / np.linalg.norm(vector))


def best(rows: list[MemoryRow], query: np.ndarray, limit: int) -> set[str]:
    return {row.memory_id for row in sorted(rows, key=lambda row: -cosine(row, query))[:limit]}


FILTERS: list[Filter] = [
    All(),
    parsed({"kind": "health"}, {"agent_id": "planner"}),
    parsed({"topic": "köln"}, {"agent_id": "planner"}),
    parsed({"NOT": {"relationship": "LIKES"}}, {"agent_id": "a'b"}),
    parsed({"OR": [{"topic": "nowhere"}, {"relationship": "MET"}]}, {"agent_id": "a'b"}),
]


@given(seed=st.integers(0, 2**32 - 1), only=st.sampled_from(FILTERS), past=st.sampled_from([0.3, 0.7, None]))
@settings(deadline=None, max_examples=60)
async def test_an_index_finds_what_comparing_everything_finds(
    generations: Generations, seed: int, only: Filter, past: float | None
) -> None:
    """Also with a filter that LanceDB cannot tell, as of a moment, and of rows that came after the index was made."""
    query = np.frombuffer(unit_vector(seed, DIMENSIONS), "<f2").astype(np.float32)
    index = LanceMemoryIndex(generations, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vector_wide, "COMPARED", 0)
        now = await index.current("acme", None, ANYONE, None)
        if past is not None:
            times = sorted(row.valid_from for row in now)
            index = index.at(times[int(past * len(times))])
        passing = [row for row in await index.current("acme", None, ANYONE, None) if matches(only, row)]
        found = await LanceWideIndex(index).candidates("acme", None, ANYONE, Asked("tea", query, only), 10)
    await index.close()
    assert all(matches(only, row) and row in passing for row in found.rows)
    assert len({row.memory_id for row in found.rows}) == len(found.rows)
    missed = best(passing, query, 10) - {row.memory_id for row in found.rows}
    assert len(missed) <= (1 if found.meaning == "approximate" else 0)
    assert found.words == "exact"


async def test_who_wants_few_of_many_is_answered_from_the_index(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = np.frombuffer(unit_vector(5, DIMENSIONS), "<f2").astype(np.float32)
    index = LanceMemoryIndex(generations, 1)
    asked = Asked("coffee", query)
    passing = await index.current("acme", None, ANYONE, None)
    exact = await LanceWideIndex(index).candidates("acme", None, ANYONE, asked, 10)
    monkeypatch.setattr(vector_wide, "COMPARED", 0)
    approximate = await LanceWideIndex(index).candidates("acme", None, ANYONE, asked, 10)
    await index.close()
    assert (exact.meaning, approximate.meaning) == ("exact", "approximate")
    assert {row.memory_id for row in exact.rows} >= best(passing, query, 10)


async def test_words_find_what_is_far_in_meaning_and_came_after_the_index(generations: Generations) -> None:
    index = LanceMemoryIndex(generations, 1)
    rows = await index.current("acme", None, ANYONE, None)
    newest = max((row for row in rows if "coffee" in row.text), key=lambda row: row.added_offset)
    away = -np.frombuffer(newest.vector, "<f2").astype(np.float32)
    asked = Asked(newest.text, away)
    found = await LanceWideIndex(index).candidates("acme", None, ANYONE, asked, 5)
    await index.close()
    assert newest.memory_id in {row.memory_id for row in found.rows}


async def test_without_an_index_everything_is_compared_and_words_are_not_looked_for(tmp_path: Path) -> None:
    generations = Generations(tmp_path, "vector")
    events = told(17, 200)
    with closing(VectorShard(generations.shard_path("g0001", 0), 0, DIMENSIONS, index_above=None)) as shard:
        feed(shard, events)
    query = np.frombuffer(unit_vector(5, DIMENSIONS), "<f2").astype(np.float32)
    index = LanceMemoryIndex(generations, 1)
    passing = await index.current("acme", None, ANYONE, None)
    found = await LanceWideIndex(index).candidates("acme", None, ANYONE, Asked("coffee", query), 10)
    await index.close()
    assert {row.memory_id for row in found.rows} == best(passing, query, 10)
    assert (found.meaning, found.words) == ("exact", "candidates")


def test_a_digest_knows_no_index(tmp_path: Path) -> None:
    events = told(3, 400)
    digests = set()
    for above in (None, ROWS):
        path = tmp_path / str(above)
        with closing(VectorShard(path, 0, DIMENSIONS, index_above=above)) as shard:
            feed(shard, events)
        assert (indexed(path) >= INDEXED) is (above is not None)
        with closing(VectorShard(path, 0, DIMENSIONS, index_above=above)) as shard:
            digests.add((shard.position(), shard.digest()))
    assert len(digests) == 1


def test_while_rows_pour_in_as_in_a_rebuild_no_index_is_built_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_upkeep, "ROWS", 100)
    path, events = tmp_path / "p0000", told(3, 700)
    with closing(VectorShard(path, 0, DIMENSIONS, index_above=256)) as shard:
        for start in range(0, len(events), 50):
            feed(shard, events[start : start + 50])
        assert not indexed(path) & INDEXED
    assert indexed(path) >= INDEXED


def test_a_table_that_has_outgrown_its_index_gets_another_one(tmp_path: Path) -> None:
    events = told(3, 1800)
    path = tmp_path / "p0000"
    names = []
    for end in (300, 320, len(events)):
        with closing(VectorShard(path, 0, DIMENSIONS, index_above=256)) as shard:
            feed(shard, events[:end])
        names.append(names_of(lancedb.connect(path).open_table("memories").list_indices())[MEANING])
    assert names[0] == names[1] != names[2]


WORKER = """
import sys
from pathlib import Path
from memfold.projections.vector import VectorShard
shard = VectorShard(Path(sys.argv[1]), 0, {dimensions}, index_above={above})
print("settling", flush=True)
shard.close()
print("settled", flush=True)
"""


def test_kill_9_while_indices_are_built_loses_nothing(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Killed later and later until one comes through: each time the shard is whole, and who comes next builds what is missing."""
    path, events = tmp_path / "p0000", told(3, 1800)
    with closing(VectorShard(path, 0, DIMENSIONS, index_above=256)) as shard:
        feed(shard, events[:300])
    outgrown = meaning_of(path)
    with closing(VectorShard(path, 0, DIMENSIONS, index_above=None)) as shard:
        feed(shard, events)
        left = shard.position(), shard.digest()
    program = WORKER.format(dimensions=DIMENSIONS, above=ROWS)
    environment = os.environ | {"PYTHONPATH": str(pytestconfig.rootpath)}
    killed = 0
    for number in range(100):
        command = [sys.executable, "-c", program, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "settling\n"
            time.sleep(0.1 * number)
            worker.send_signal(signal.SIGKILL)
            through = worker.stdout.read() == "settled\n"
        killed += not through
        assert meaning_of(path)  # the old one until the new one is there
        with closing(VectorShard(path, 0, DIMENSIONS, index_above=None)) as shard:
            assert (shard.position(), shard.digest()) == left
        if through:
            break
    assert killed > 0
    assert indexed(path) >= INDEXED
    assert len(meaning_of(path)) == 1
    assert meaning_of(path) != outgrown


class Held(WideIndices):
    """Real indices, whose building is held up at its first step until `go`."""

    begun, go = threading.Event(), threading.Event()

    def steps(self, table: Any) -> list[Callable[[], object]]:
        steps = super().steps(table)
        return (
            [self._wait, *steps] if steps and threading.current_thread().name.startswith("index") else steps
        )

    def _wait(self) -> None:
        self.begun.set()
        assert self.go.wait(60)


async def test_events_are_applied_while_an_index_is_built_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_table, "WideIndices", Held)
    monkeypatch.setattr(vector, "ROWS", 1)  # a commit for each batch
    monkeypatch.setattr(vector_upkeep, "COMMITS", 1)
    monkeypatch.setattr(vector_upkeep, "SHARE", 0)
    generations, events = Generations(tmp_path / "beside", "vector"), told(5, 800)
    first, rest = events[:400], events[400:]
    path = generations.shard_path("g0001", 0)
    shard = VectorShard(path, 0, DIMENSIONS, index_above=256)
    feed(shard, first[:-1])
    feed(shard, first[-1:])  # the first batch poured in
    assert await asyncio.to_thread(Held.begun.wait, 60)
    feed(shard, rest[:100])
    assert shard.position().offset == rest[99].offset
    assert not indexed(path) & INDEXED
    Held.go.set()
    for start in range(100, len(rest), 20):
        feed(shard, rest[start : start + 20])
    shard.close()
    assert indexed(path) >= INDEXED
    with (
        closing(VectorShard(path, 0, DIMENSIONS, index_above=None)) as beside,
        closing(VectorShard(tmp_path / "plain", 0, DIMENSIONS, index_above=None)) as plain,
    ):
        feed(plain, events)
        assert (beside.position(), beside.digest()) == (plain.position(), plain.digest())


def test_a_writer_that_is_not_the_building_is_still_found_out(tmp_path: Path) -> None:
    path, events = tmp_path / "p0000", told(5, 700)
    with closing(VectorShard(path, 0, DIMENSIONS, index_above=256)) as shard:
        feed(shard, events[:-9])
    with closing(VectorShard(path, 0, DIMENSIONS, index_above=256)) as shard:
        lancedb.connect(path).open_table("memories").delete("version = 1")
        with pytest.raises(ShardLocked, match="another writer"):
            feed(shard, events[-9:])
