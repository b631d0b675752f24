"""Searches of scopes that are too large to hold: what indices find against what is there, with filters, moments and rows that are new."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random

import lancedb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.memory.filters import All, Filter, parsed
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow
from memfold.memory.wide import Asked
from memfold.projections import vector_upkeep, vector_wide
from memfold.projections.base import Position, fenced
from memfold.projections.generations import Generations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_ann import MEANING, SCOPES, WORDS, names_of
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
    path, events = tmp_path / "p0000", told(3, 900)
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
            time.sleep(0.03 * number)
            worker.send_signal(signal.SIGKILL)
            through = worker.stdout.read() == "settled\n"
        killed += not through
        with closing(VectorShard(path, 0, DIMENSIONS, index_above=None)) as shard:
            assert (shard.position(), shard.digest()) == left
        if through:
            break
    assert killed > 0
    assert indexed(path) >= INDEXED
