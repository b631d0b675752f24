"""A rebuild that is cut short is taken up, one that is refused leaves nothing, and the generation before can be served again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from memfold.memory.errors import InvalidInput, NoRoom, RebuildRunning
from memfold.projections.base import Position
from memfold.projections.generations import FIRST
from memfold.projections.unfinished import unfinished
from memfold.replay import build as building
from memfold.replay import source as sources
from memfold.replay.build import BuiltShard, open_shard
from memfold.replay.only_one import only_one
from memfold.replay.progress import Progress
from memfold.replay.rebuild import Rebuilt, rebuild
from memfold.replay.rollback import rollback
from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import LogRecord
from tests.replay.archived_log import KEK, ArchivedLog
from tests.small_disk import small_disk
from tests.strategies import OWNERS


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArchivedLog:
    monkeypatch.setattr(sources, "_COMMIT_RECORDS", 10)
    made = ArchivedLog(tmp_path / "home", 2, 60)
    made.archive(60)
    return made


def rebuilt(log: ArchivedLog, names: tuple[str, ...] = ("vector", "graph"), **more: object) -> list[Rebuilt]:
    chosen = {name: log.generations[name] for name in names}
    return rebuild(
        chosen,
        log.partitions,
        log.origin(),
        lambda name, generation: log.generations[name].serve(generation),
        digests=True,
        **more,  # type: ignore[arg-type]
    )


def standing(found: list[Rebuilt]) -> dict[tuple[str, int], tuple[Position, str]]:
    shards = [shard for one in found for shard in one.shards]
    return {(one.task.projection, one.task.partition): (one.position, one.digest) for one in shards}


def begun_at(found: list[Rebuilt]) -> dict[tuple[str, int], int]:
    shards = [shard for one in found for shard in one.shards]
    return {(one.task.projection, one.task.partition): one.begun_at for one in shards}


def cut_short(
    log: ArchivedLog,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    names: tuple[str, ...] = ("vector", "graph"),
) -> None:
    """A rebuild that ends like a killed one before the commit number `after` of its life."""
    left = [after]

    def counted(read: Iterator[list[LogRecord]]) -> Iterator[list[LogRecord]]:
        for records in sources.commits(read):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            yield records

    with monkeypatch.context() as patched:
        patched.setattr(building, "commits", counted)
        with pytest.raises(KeyboardInterrupt):
            rebuilt(log, names)


def test_what_was_cut_short_is_taken_up_where_it_stood(
    log: ArchivedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ArchivedLog(tmp_path / "other", 2, 60)
    cut_short(log, monkeypatch, 8)
    for each in log.generations.values():
        assert (each.served(), each.existing()) == (FIRST, ["g0002"])
        with pytest.raises(InvalidInput, match="half built; `memfold replay rebuild` goes on"):
            each.serve("g0002")
    cut_short(log, monkeypatch, 2)
    found = rebuilt(log)
    assert [one.generation for one in found] == ["g0002", "g0002"], "the same, not a new one"
    assert begun_at(found) == {
        ("vector", 0): 60,
        ("graph", 0): 60,
        ("vector", 1): 40,
        ("graph", 1): 40,
    }, "nothing that was built is read again"
    assert all(unfinished(each.path("g0002")) is None for each in log.generations.values())
    os.rename(log.home / "archive", whole.home / "archive")
    os.rename(log.home / "keys.db", whole.home / "keys.db")
    assert standing(rebuilt(whole)) == standing(found)


def test_only_a_generation_of_the_same_kind_is_taken_up(
    log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short(log, monkeypatch, 3, names=("vector",))
    (log.generations["vector"].path("g0002") / "embedder.json").write_text('{"model":"other","dimensions":4}')
    found = rebuilt(log)
    assert [one.generation for one in found] == ["g0003", "g0002"]
    assert log.generations["vector"].existing() == ["g0003"], "what nobody will take up is removed"


def test_a_shard_that_is_ahead_of_the_other_counts_nothing_twice(
    log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(KeyStore(log.home / "keys.db", KEK)) as keys:
        keys.destroy(keys.subject_of("acme", "user", OWNERS[0].subject))
    cut_short(log, monkeypatch, 3, names=("graph",))
    monkeypatch.setattr(sources, "_COMMIT_RECORDS", 7)
    found = rebuilt(log)
    assert begun_at(found) == {("vector", 0): 0, ("graph", 0): 30, ("vector", 1): 0, ("graph", 1): 0}
    positions = {shard: at for shard, (at, _) in standing(found).items()}
    for at in positions.values():
        assert at.offset + 1 == at.applied + at.ignored + at.erased == 60, "each record counts once"
        assert at.erased > 10
    assert positions["vector", 0] == positions["graph", 0]


def test_partitions_may_be_built_by_several_calls(log: ArchivedLog) -> None:
    log_so_far = rebuilt(log, only=[1])
    assert [one.served for one in log_so_far] == [False, False]
    assert log.generations["vector"].served() == FIRST
    found = rebuilt(log, only=[0])
    assert [(one.generation, one.served) for one in found] == [("g0002", True), ("g0002", True)]
    assert {position.offset for position, _ in standing(found).values()} == {59}
    assert log.generations["vector"].served() == "g0002"


def test_a_second_rebuild_is_refused_and_told_of_the_first(log: ArchivedLog) -> None:
    folder = log.home / "projections"
    with (
        only_one(folder, "memfold replay rebuild"),
        pytest.raises(RebuildRunning, match=f"`memfold replay rebuild` of process {os.getpid()}, since 20"),
        only_one(folder, "memfold replay rebuild"),
    ):
        pass
    with only_one(folder, "memfold replay rebuild"):
        pass


def test_back_to_the_generation_before_with_all_that_was_written_since(log: ArchivedLog) -> None:
    rebuilt(log)
    rebuilt(log)
    more = ArchivedLog(log.home, 2, 90)
    more.archive(90)
    served = [each.served() for each in more.generations.values()]
    assert served == ["g0003", "g0003"]
    switch = {name: each.serve for name, each in more.generations.items()}
    found = rollback(more.generations, 2, more.origin(), lambda name, new: switch[name](new))
    assert [each.served() for each in more.generations.values()] == ["g0002", "g0002"]
    assert [each.previous() for each in more.generations.values()] == ["g0003", "g0003"]
    assert set(begun_at(found).values()) == {60}
    assert {position.offset for position, _ in standing(found).values()} == {89}
    expected = standing(rebuilt(more))
    for (name, partition), (position, digest) in expected.items():
        path = more.generations[name].shard_path("g0002", partition)
        with closing(open_shard(name, path, partition, more.origin().embedding)) as shard:
            assert (shard.position(), shard.digest()) == (position, digest), "caught up before it was served"


def test_no_generation_before_is_an_error_that_says_so(log: ArchivedLog) -> None:
    with pytest.raises(InvalidInput, match="vector serves g0001, and no generation before it is left"):
        rollback(log.generations, 2, log.origin(), lambda name, new: None)
    rebuilt(log)
    rebuilt(log)
    log.generations["vector"].remove_previous(older_than=3600)
    assert log.generations["vector"].previous() == "g0002"
    log.generations["vector"].remove_previous(older_than=-1)
    assert log.generations["vector"].existing() == ["g0003"]


def test_how_far_it_is_can_be_watched(log: ArchivedLog) -> None:
    seen: list[Progress] = []
    done: list[BuiltShard] = []
    rebuilt(log, watch=seen.append, done=done.append)
    assert (seen[-1].records, seen[-1].of) == (120, 120)
    assert seen[-1].memories > 0
    assert seen[-1].rate > 0
    assert len(done) == 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", 3, lazy=True) as path:
        yield path


def test_a_full_disk_leaves_the_served_one_and_says_what_to_free(disk: Path, tmp_path: Path) -> None:
    log = ArchivedLog(disk / "home", 1, 1_500)
    (tmp_path / "archive").mkdir()
    (log.home / "archive").symlink_to(tmp_path / "archive")
    log.archive(60)
    rebuilt(log)
    log.archive(1_500)
    with pytest.raises(NoRoom, match=r"the served one takes [\d.]+ MB, [\d.]+ MB are free"):
        rebuilt(log)
    for each in log.generations.values():
        assert (each.served(), each.existing()) == ("g0002", ["g0002"])


def _rebuild_slowly(home: str) -> None:
    sources._COMMIT_RECORDS = 10
    building._NOT_WORTH_A_PROCESS = 0
    rebuilt(ArchivedLog(Path(home), 2, 0))


def test_builders_of_a_killed_rebuild_let_go_of_their_shards(
    log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_rebuild_slowly, args=(str(log.home),))
    process.start()
    shard = log.generations["vector"].path("g0002") / "p0000"
    deadline = time.monotonic() + 30
    while not shard.exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    found = rebuilt(log)
    assert [one.generation for one in found] == ["g0002", "g0002"]
    assert all(at.applied + at.ignored == 60 for at, _ in standing(found).values())
