"""Graph shards on disks of their own and their snapshots in a home: what moves between machines stays what it is."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.memory.errors import InvalidInput, ShardLocked
from memfold.projections import local_graphs
from memfold.projections.generations import FIRST, Generations
from memfold.projections.graph import GraphShard
from memfold.projections.graph_files import copy_store
from memfold.projections.graph_snapshot import GraphSnapshot
from memfold.projections.local_graphs import KEPT, SNAPSHOTS, LocalGraphs, check_not_a_snapshot
from memfold.schemas.records import Event
from tests.projections.graph_events import asserts, event, feed, retracts
from tests.small_disk import small_disk

MEMORY = Path("/dev/shm")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Another file system than the home's, where there is one: files can be linked into the home from nowhere else."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path / "disk"
        return
    folder = MEMORY / f"memfold-{uuid.uuid4().hex}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home(tmp_path: Path) -> Generations:
    return Generations(tmp_path / "home", "graph")


@pytest.fixture(autouse=True)
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_graphs, "WORTH_COPYING", 3)


def told(offset: int) -> Event:
    """Every third one ends what the one before it asserted."""
    if offset % 3 == 2:
        return event(offset, retracts(f"a{offset - 1}"))
    return event(offset, asserts(f"a{offset}", "alex", "KNOWS", f"person {offset}"))


def opened(machine: LocalGraphs) -> GraphShard:
    return GraphShard(machine.fetched(FIRST, 0), 0)


def caught_up(shard: GraphShard, end: int) -> None:
    for offset in range(shard.position().offset + 1, end):
        feed(shard, told(offset))


def whole(path: Path, end: int) -> str:
    """The digest of a shard that never moved."""
    with closing(GraphShard(path, 0)) as shard:
        caught_up(shard, end)
        return shard.digest()


def test_another_machine_goes_on_from_the_snapshot(disk: Path, home: Generations, tmp_path: Path) -> None:
    one, other = LocalGraphs(disk / "one", home), LocalGraphs(disk / "other", home)
    with closing(opened(one)) as shard:
        caught_up(shard, 10)
        assert one.publish(shard) == 9
        caught_up(shard, 14)
    with closing(opened(other)) as shard:
        assert shard.position().offset == 9
        caught_up(shard, 20)
        assert shard.digest() == whole(tmp_path / "whole", 20)
    # What lies in the home is a shard like any other.
    with closing(GraphShard(home.shard_path(FIRST, 0), 0)) as shard:
        assert shard.digest() == whole(tmp_path / "ten", 10)


def test_what_is_hardly_behind_is_not_copied(disk: Path, home: Generations) -> None:
    one, other = LocalGraphs(disk / "one", home), LocalGraphs(disk / "other", home)
    with closing(opened(one)) as shard, closing(opened(other)) as behind:
        caught_up(behind, 8)
        caught_up(shard, 10)
        one.publish(shard)
    with closing(opened(other)) as behind:
        assert behind.position().offset == 7
    with closing(opened(one)) as shard:
        caught_up(shard, 20)
        one.publish(shard)
    with closing(opened(other)) as behind:
        assert behind.position().offset == 19


def test_a_place_without_a_shard_is_none(disk: Path, home: Generations) -> None:
    home.shard_path(FIRST, 0).mkdir(parents=True)
    with closing(opened(LocalGraphs(disk / "one", home))) as shard:
        assert shard.position().offset == -1


def test_who_was_overtaken_publishes_nothing(disk: Path, home: Generations) -> None:
    one, other = LocalGraphs(disk / "one", home), LocalGraphs(disk / "other", home)
    with closing(opened(one)) as old, closing(opened(other)) as new:
        caught_up(old, 5)
        caught_up(new, 6)
        assert other.publish(new) == 5
        assert one.publish(old) is None
        assert other.publish(new) is None
    assert GraphSnapshot(home.shard_path(FIRST, 0)).position.offset == 5


def test_what_a_rebuild_built_is_opened_and_then_replaced(disk: Path, home: Generations) -> None:
    machine = LocalGraphs(disk / "one", home)
    with closing(GraphShard(home.shard_path(FIRST, 0), 0)) as built:
        caught_up(built, 5)
    with closing(opened(machine)) as shard:
        assert shard.position().offset == 4
        caught_up(shard, 6)
        assert machine.publish(shard) == 5
        assert home.shard_path(FIRST, 0).is_symlink()
    assert GraphSnapshot(home.shard_path(FIRST, 0)).position.offset == 5


def test_few_snapshots_are_kept_and_tables_are_written_once(disk: Path, home: Generations) -> None:
    machine = LocalGraphs(disk / "one", home)
    with closing(opened(machine)) as shard:
        for end in range(5, 30, 5):
            caught_up(shard, end)
            assert machine.publish(shard) == end - 1
    kept = sorted((home.path(FIRST) / SNAPSHOTS / "p0000").iterdir())
    assert len(kept) == KEPT
    tables = [{file.name: file.stat().st_ino for file in each.rglob("*.sst")} for each in kept]
    both = set(tables[0]) & set(tables[1])
    assert both
    assert all(tables[0][name] == tables[1][name] for name in both)


def test_a_snapshot_that_is_taken_away_while_it_is_copied(
    disk: Path, home: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = LocalGraphs(disk / "one", home), LocalGraphs(disk / "other", home)
    copies = copy_store
    with closing(opened(one)) as shard:
        caught_up(shard, 10)
        one.publish(shard)

        def overtaken(store: Path, to: Path, known: Path | None = None) -> None:
            monkeypatch.setattr(local_graphs, "copy_store", copies)
            for _ in range(KEPT + 1):
                caught_up(shard, shard.position().offset + 2)
                one.publish(shard)
            copies(store, to, known)

        monkeypatch.setattr(local_graphs, "copy_store", overtaken)
        with closing(opened(other)) as copied:
            assert copied.position().offset == shard.position().offset
            assert copied.digest() == shard.digest()


def test_a_shard_that_another_process_has_is_not_replaced(disk: Path, home: Generations) -> None:
    machine = LocalGraphs(disk / "one", home)
    with closing(opened(machine)), pytest.raises(ShardLocked, match="is open for writing elsewhere"):
        machine.fetched(FIRST, 0)


def test_what_a_worker_without_a_folder_still_writes_is_waited_for(disk: Path, home: Generations) -> None:
    one, other = LocalGraphs(disk / "one", home), LocalGraphs(disk / "other", home)
    with closing(opened(one)) as ahead:
        caught_up(ahead, 9)
        with closing(GraphShard(home.shard_path(FIRST, 0), 0)) as shard:
            caught_up(shard, 5)
            with pytest.raises(ShardLocked):
                other.fetched(FIRST, 0)
            with pytest.raises(ShardLocked):
                one.publish(ahead)
        with closing(opened(other)) as behind:
            assert behind.position().offset == 4
        assert one.publish(ahead) == 8
    with pytest.raises(InvalidInput, match=r"is a snapshot: .* Set MEMFOLD_LOCAL_GRAPHS"):
        check_not_a_snapshot(home.shard_path(FIRST, 0))


def test_the_folder_of_another_deployment_is_refused(disk: Path, home: Generations, tmp_path: Path) -> None:
    LocalGraphs(disk / "one", home)
    LocalGraphs(disk / "one", home)
    with pytest.raises(InvalidInput, match=r"holds the graphs of another deployment .*MEMFOLD_LOCAL_GRAPHS"):
        LocalGraphs(disk / "one", Generations(tmp_path / "another", "graph"))


def test_generations_that_are_gone_are_removed(disk: Path, home: Generations) -> None:
    machine = LocalGraphs(disk / "one", home)
    opened(machine).close()
    old = disk / "one" / "g0007" / "p0000"
    old.mkdir(parents=True)
    machine.tidy()
    assert not old.exists()
    assert (disk / "one" / FIRST / "p0000").exists()


def test_a_full_disk_leaves_the_snapshot_before(disk: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 8) as small:
        home = Generations(small, "graph")
        machine = LocalGraphs(disk / "one", home)
        with closing(opened(machine)) as shard:
            caught_up(shard, 5)
            machine.publish(shard)
            caught_up(shard, 10)
            filling = small / "filling"
            filling.write_bytes(bytes(shutil.disk_usage(small).free))
            with pytest.raises(OSError, match="No space left"):
                machine.publish(shard)
            assert GraphSnapshot(home.shard_path(FIRST, 0)).position.offset == 4
            left = [*(home.path(FIRST) / SNAPSHOTS / "p0000").iterdir(), *(disk / "one").glob(".linked*")]
            assert len(left) == 1
            filling.unlink()
            assert machine.publish(shard) == 9


def test_of_a_shard_that_is_opened_anew_no_table_counts_as_known(disk: Path, home: Generations) -> None:
    machine = LocalGraphs(disk / "one", home)
    for end in (5, 10):
        with closing(opened(machine)) as shard:
            caught_up(shard, end)
            machine.publish(shard)
    first, second = sorted((home.path(FIRST) / SNAPSHOTS / "p0000").iterdir())
    assert not {f.stat().st_ino for f in first.rglob("*.sst")} & {
        f.stat().st_ino for f in second.rglob("*.sst")
    }


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.booleans()), min_size=1, max_size=8)
"""Whose turn it is, how many events come, and whether it publishes before it ends."""


@settings(max_examples=25)
@given(steps=STEPS)
def test_wherever_a_partition_has_been_it_is_the_fold_of_its_log(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("moving")
    home = Generations(folder / "home", "graph")
    machines = [LocalGraphs(folder / str(number), home) for number in range(3)]
    end, digest = 0, ""
    for whose, count, publishes in steps:
        end += count
        with closing(opened(machines[whose])) as shard:
            caught_up(shard, end)
            if publishes:
                machines[whose].publish(shard)
            digest = shard.digest()
    assert digest == whole(folder / "whole", end)
