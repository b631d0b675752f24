"""A bit flipped in a file that is served is found, told down to the memory and its event, and repaired."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from memfold.memory.errors import RebuildRunning, ShardDamaged
from memfold.projections.difference import Difference
from memfold.projections.generations import Generations
from memfold.projections.graph import GraphShard
from memfold.projections.graph_snapshot import copy_files
from memfold.projections.vector_snapshot import VectorSnapshot, link_files
from memfold.replay import source as sources
from memfold.replay.aside import FILE
from memfold.replay.compared import Compared
from memfold.replay.last_event import traced
from memfold.replay.only_one import VERIFY_FILE, only_one
from memfold.replay.rebuild import rebuild
from memfold.replay.verify import Copy, Verified, verify
from tests.replay.archived_log import DIMENSIONS, ArchivedLog

EVENTS = 60


@pytest.fixture
def log(tmp_path: Path) -> ArchivedLog:
    """Two partitions, served in g0002."""
    made = ArchivedLog(tmp_path / "home", 2, EVENTS)
    made.archive(EVENTS)
    rebuild(made.generations, 2, made.origin(), switch_of(made))
    return made


def switch_of(log: ArchivedLog) -> Callable[[str, str], None]:
    return lambda name, generation: log.generations[name].serve(generation)


def copier(generations: dict[str, Generations]) -> Copy:
    """As where no worker runs."""

    def copy(name: str, partition: int, generation: str) -> None:
        each = generations[name]
        path, to = each.shard_path(each.served(), partition), each.copy_path(generation, partition)
        if name == "vector":
            link_files(path, to)
            return
        try:
            with closing(GraphShard(path, partition)) as shard:
                shard.copy(to)
        except ShardDamaged:
            copy_files(path, to)

    return copy


def verified(log: ArchivedLog, *names: str, repair: bool = False) -> Verified:
    chosen = {name: each for name, each in log.generations.items() if name in (names or log.generations)}
    copy = copier(chosen)
    return verify(chosen, log.partitions, log.origin(), copy, switch=switch_of(log) if repair else None)


def flip(path: Path, at: int, bit: int = 0) -> None:
    """In the file itself, as a disk does: no new file, so that every link of it has the flipped bit."""
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def flip_in(folder: Path, content: bytes, at: int) -> None:
    """Wherever these bytes stand in the data: also in a file of an old version, which nobody reads any more."""
    holding = [path for path in sorted(folder.rglob("data/*.lance")) if content in path.read_bytes()]
    assert holding
    for path in holding:
        flip(path, path.read_bytes().find(content) + at)


def of(found: Verified, name: str, partition: int) -> Compared:
    (one,) = [one for one in found.compared if (one.projection, one.partition) == (name, partition)]
    return one


def clean(log: ArchivedLog) -> None:
    """Nothing is left of what was built aside."""
    for each in log.generations.values():
        assert each.existing() == [each.served()]
        assert not (each.path(each.served()) / FILE).exists()
        assert not list(each.path(each.served()).glob("served/*"))


def test_what_is_served_is_what_the_log_says(log: ArchivedLog) -> None:
    found = verified(log)
    assert found.equal
    assert [(one.projection, one.partition, one.offset) for one in found.compared] == [
        ("vector", 0, EVENTS - 1),
        ("graph", 0, EVENTS - 1),
        ("vector", 1, EVENTS - 1),
        ("graph", 1, EVENTS - 1),
    ]
    assert all(one.served == one.built for one in found.compared)
    clean(log)


def a_row(shard: Path) -> tuple[str, int, bytes]:
    """(row id, offset of its last event, vector) of a row whose vector no other row has."""
    snapshot = VectorSnapshot(shard, DIMENSIONS)
    offsets, vectors = snapshot.values("evt_offset"), snapshot.values("vector")
    held = [vector for vector in vectors.values() if vector is not None]
    row_id = next(name for name, vector in vectors.items() if vector is not None and held.count(vector) == 1)
    return row_id, offsets[row_id], vectors[row_id]


def test_a_value_that_silently_changed_is_found_and_repaired(log: ArchivedLog) -> None:
    row_id, offset, vector = a_row(log.generations["vector"].shard_path("g0002", 1))
    flip_in(log.generations["vector"].shard_path("g0002", 1), vector, 5)
    found = verified(log)
    assert [(one.projection, one.partition) for one in found.compared if not one.equal] == [("vector", 1)]
    damaged = of(found, "vector", 1)
    memory_id, _, version = row_id.rpartition(":")
    assert (damaged.verdict, damaged.damage) == ("differs", "")
    assert damaged.differences == [
        Difference(memory_id, f"version {version}", "differs", ("vector",), offset)
    ]
    (told,) = traced(damaged, log.origin(), 10)
    event = log.histories[1][offset]
    assert (told.event_id, told.recorded_at) == (event.envelope.record_id, event.recorded_at)
    repaired = verified(log, repair=True)
    assert not repaired.equal
    assert [one.projection for one in repaired.repaired] == ["vector"], "the graph was as it should be"
    assert [each.served() for each in log.generations.values()] == ["g0003", "g0002"]
    assert log.generations["vector"].previous() is None, "nobody may go back to what was damaged"
    assert verified(log).equal
    clean(log)


def with_a_flip(log: ArchivedLog, path: Path, at: int) -> Compared:
    """What is found of the vectors of partition 0; a flip that nobody notices is taken back."""
    flip(path, at, 7)
    one = of(verified(log, "vector"), "vector", 0)
    if one.equal:
        flip(path, at, 7)
    return one


def test_what_lance_itself_cannot_read_is_found_and_repaired(log: ArchivedLog) -> None:
    shard = log.generations["vector"].shard_path("g0002", 0)
    (data,) = [path for path in shard.rglob("data/*.lance") if path.stat().st_size > 20_000]
    whole = data.read_bytes()
    # Where it is said how the columns' pages are encoded: most of these bits make Lance stumble.
    damaged = next(
        found for at in range(len(whole) - 2_000, len(whole)) if (found := with_a_flip(log, data, at)).damage
    )
    assert (damaged.verdict, damaged.served) == ("damaged", "")
    memories = {one.memory_id for one in damaged.differences}
    assert memories
    assert memories <= {done.memory_id for event in log.histories[0] for done in event.body.operations}
    assert all(one.what == "unreadable" and one.offset is not None for one in damaged.differences)
    assert verified(log, "vector", repair=True).repaired
    assert verified(log).equal
    clean(log)


def test_an_index_that_does_not_find_is_found(log: ArchivedLog) -> None:
    shard = log.generations["vector"].shard_path("g0002", 0)
    index = max(shard.rglob("_indices/*/page_data.lance"), key=lambda each: each.stat().st_size)
    places = range(0, index.stat().st_size, 97)
    damaged = next(found for at in places if not (found := with_a_flip(log, index, at)).equal)
    assert damaged.differences
    assert {one.what for one in damaged.differences} <= {"not indexed", "unreadable"}
    assert all(one.fields[0].startswith("index of") for one in damaged.differences)


@pytest.mark.parametrize("which", range(4))
def test_a_block_of_the_graph_that_is_damaged_is_found_and_repaired(log: ArchivedLog, which: int) -> None:
    """In a table of each of the largest of Oxigraph's indices."""
    shard = log.generations["graph"].shard_path("g0002", 0)
    table = sorted(shard.rglob("*.sst"), key=lambda each: (-each.stat().st_size, each.name))[which]
    flip(table, table.stat().st_size // 4)
    found = verified(log, "graph", repair=True)
    damaged = of(found, "graph", 0)
    assert (damaged.verdict, damaged.served) == ("damaged", "")
    said = {
        change.assertion_id: (change.memory_id, offset)
        for offset, event in reversed(list(enumerate(log.histories[0])))
        for change in event.body.relations
        if change.op == "ASSERT"
    }
    assert damaged.differences
    for one in damaged.differences:
        assert one.what == "unreadable"
        assert said[one.part.removeprefix("relation ")] == (one.memory_id, one.offset)
    assert of(found, "graph", 1).equal
    assert [one.generation for one in found.repaired] == ["g0003"]
    assert verified(log).equal
    clean(log)


def test_a_graph_that_says_something_else_is_found_with_the_event_that_ended_it(log: ArchivedLog) -> None:
    """Oxigraph checks every block, so a value changes silently only where somebody writes."""
    path = log.generations["graph"].shard_path("g0002", 1)
    with closing(GraphShard(path, 1)) as shard:
        triples = shard._store().triples
        ended = [quad for quad in triples if quad.predicate.value.endswith("invalidatedAtTime")]
        triples.remove(ended[len(ended) // 2])
    del triples, ended
    found = verified(log, "graph")
    damaged = of(found, "graph", 1)
    (one,) = damaged.differences
    assert (one.what, one.fields) == ("missing", ("invalidatedAtTime",))
    assert damaged.served not in ("", damaged.built)
    (told,) = traced(damaged, log.origin(), 10)
    assert told.difference.offset is not None
    event = log.histories[1][told.difference.offset]
    assert event.recorded_at == one.ended
    assertion = one.part.removeprefix("relation ")
    retracted = {change.assertion_id for change in event.body.relations if change.op == "RETRACT"}
    assert assertion in retracted or event.body.clears


def test_what_a_killed_verification_left_goes_with_the_next(
    log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = log.generations["vector"].create_next()
    (log.generations["vector"].path(left) / FILE).touch()
    rebuild(log.generations, 2, log.origin(), switch_of(log))
    assert left in log.generations["vector"].existing(), (
        "a rebuild leaves it: it may be a verification's that runs"
    )
    assert verified(log).equal
    assert left not in log.generations["vector"].existing()

    def interrupted(*_: object) -> Iterator[list[object]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(sources.ParquetSource, "read", interrupted)
    with suppress(KeyboardInterrupt):
        verified(log)
    assert log.generations["vector"].existing() == ["g0002", "g0004"], "served and the one before"


def test_a_second_verification_is_refused_and_told_of_the_first(log: ArchivedLog) -> None:
    folder = log.home / "projections"
    with (
        only_one(folder, "memfold replay verify", VERIFY_FILE),
        only_one(folder, "memfold replay rebuild"),
        pytest.raises(RebuildRunning, match=f"`memfold replay verify` of process {os.getpid()}, since 20"),
        only_one(folder, "memfold replay verify", VERIFY_FILE),
    ):
        pass
