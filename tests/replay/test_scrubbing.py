"""A slice of the log folded in memory is what the served shards hold of it, whatever the slices and positions; what differs is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from memfold.memory.errors import NoRoom, ShardDamaged, ViewUnreachable
from memfold.projections.base import Shard
from memfold.projections.difference import Difference
from memfold.projections.graph import GraphShard
from memfold.projections.vector_snapshot import VectorSnapshot
from memfold.replay import sliced_log
from memfold.replay.build import ShardTask, build_partition
from memfold.replay.reembedding import ReembeddedShard
from memfold.replay.scrubbing import read_copy, read_slice, scrub_graph, scrub_vectors
from memfold.replay.sliced_log import SlicedLog
from memfold.replay.slices import Slice, SliceFold
from memfold.schemas.keystore import KeyStore
from tests.replay.archived_log import DIMENSIONS, KEK, ArchivedLog
from tests.replay.test_verify import a_row, flip_in

EVENTS = 120


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> ArchivedLog:
    made = ArchivedLog(tmp_path_factory.mktemp("scrubbed") / "home", 1, EVENTS)
    made.archive(EVENTS)
    return made


def built(log: ArchivedLog, folder: Path, **ends: int) -> dict[str, Path]:
    """Shards of partition 0, each up to an offset."""
    paths = {name: folder / "g0001" / f"{name}-p0000" for name in ends}
    for name, end in ends.items():
        task = ShardTask(name, paths[name], 0, end)
        build_partition([task], log.origin(), lambda records, memories: None, digests=False)
    return paths


@contextmanager
def folded(log: ArchivedLog, piece: Slice) -> Iterator[SliceFold]:
    def dressed(shard: Shard) -> Shard:
        return ReembeddedShard(shard, log.origin().embedding, "g0001")

    with closing(KeyStore(log.home / "keys.db", KEK)) as keys:
        yield SliceFold(log.origin().source(), keys, 0, piece, dressed)


@contextmanager
def sliced(log: ArchivedLog, of: int) -> Iterator[SlicedLog]:
    with closing(KeyStore(log.home / "keys.db", KEK)) as keys:
        copy = SlicedLog(log.home / "run", log.origin().source(), keys, 0, of)
        with closing(copy):
            yield copy


def scrubbed(
    log: ArchivedLog, paths: dict[str, Path], of: int, read: int = 0, copied: bool = False
) -> list[Difference]:
    """All slices of all shards, read up to an offset before the shards are looked at, from the log or from one copy of it."""
    found: list[Difference] = []
    for number in range(of):
        with folded(log, Slice(number, of)) as fold, sliced(log, of) as copy:
            steps = read_copy(fold, copy, read) if copied else read_slice(fold, read)
            assert [one for some in steps for one in some] == []
            assert fold.position.offset + 1 == read
            if "vector" in paths:
                for some in scrub_vectors(fold, lambda: VectorSnapshot(paths["vector"], DIMENSIONS)):
                    found += some
            if "graph" in paths:
                with closing(GraphShard(paths["graph"], 0)) as shard:
                    for some in scrub_graph(fold, shard):
                        found += some
    return found


@pytest.mark.parametrize(("vector", "graph"), [(EVENTS, EVENTS), (EVENTS, 40), (31, EVENTS), (77, 76)])
def test_slices_are_what_is_served(log: ArchivedLog, tmp_path: Path, vector: int, graph: int) -> None:
    """Also where the two stand at different positions, and the log was read further than either."""
    paths = built(log, tmp_path, vector=vector, graph=graph)
    for of, read in ((1, 0), (3, min(vector, graph)), (5, 20)):
        assert scrubbed(log, paths, of, read) == []
        assert scrubbed(log, paths, of, read, copied=True) == []


def test_a_graph_is_free_for_its_next_writer_while_the_scrub_rests(log: ArchivedLog, tmp_path: Path) -> None:
    """The rests are long: who kept the store open in between kept its partition from everybody, for minutes."""
    paths = built(log, tmp_path, graph=EVENTS)
    with folded(log, Slice(0, 1)) as fold:
        shard = GraphShard(paths["graph"], 0)
        steps = scrub_graph(fold, shard)
        for taken in (1, 2):
            for _ in range(taken):
                assert next(steps) == []
            shard.close()
            shard = GraphShard(paths["graph"], 0)
            steps = scrub_graph(fold, shard)
        shard.close()


def test_a_copy_has_of_each_slice_what_counts_and_is_read_piece_by_piece(
    log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what waits in memory to be written, and a slice that is read before the log was read to its end."""
    monkeypatch.setattr(sliced_log, "BUFFERED", 2_000)
    of = 4
    with sliced(log, of) as copy:
        for end in (50, 51, EVENTS):
            copy.read(end)
            for number in range(of):
                with folded(log, Slice(number, of)) as fold, folded(log, Slice(number, of)) as alone:
                    list(read_copy(fold, copy, end))
                    alone.read(end)
                    assert fold._kept.events == alone._kept.events
                    assert fold.position.offset == alone.position.offset == end - 1
                    assert fold.position.command_offset == alone.position.command_offset
        assert copy._size, "nothing was ever written"


def test_a_copy_that_is_damaged_is_not_believed(log: ArchivedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced_log, "BUFFERED", 0)
    with sliced(log, 2) as copy:
        copy.read(EVENTS)
        (piece, *_) = copy._pieces[0]
        content = os.pread(copy._file.fileno(), piece[1], piece[0])
        value = next(copy.records_of(0))[-1].value
        sealed = content.rindex(value) + len(value) - 1
        for at, error in ((0, "not what was written"), (sealed, "no longer be opened")):
            broken = content[:at] + bytes([content[at] ^ 0x80]) + content[at + 1 :]
            os.pwrite(copy._file.fileno(), broken, piece[0])
            with folded(log, Slice(0, 2)) as fold, pytest.raises(ShardDamaged, match=error):
                list(read_copy(fold, copy, EVENTS))


def test_a_copy_leaves_the_disk_to_others(log: ArchivedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced_log, "BUFFERED", 0)
    monkeypatch.setattr(sliced_log, "FREE", 2**60)
    with sliced(log, 2) as copy, pytest.raises(NoRoom):
        copy.read(EVENTS)
    assert not list((log.home / "run").iterdir()), "it has no name"


def test_together_the_slices_are_everything(log: ArchivedLog, tmp_path: Path) -> None:
    paths = built(log, tmp_path, vector=EVENTS)
    row_ids: list[str] = []
    for number in range(4):
        with folded(log, Slice(number, 4)) as fold:
            fold.read(EVENTS)
            row_ids += [row.row_id for row in fold.rows(EVENTS)]
    assert sorted(row_ids) == sorted(VectorSnapshot(paths["vector"], DIMENSIONS).values("row_id"))


def test_a_bit_in_a_vector_is_found_in_its_slice_and_in_no_other(log: ArchivedLog, tmp_path: Path) -> None:
    paths = built(log, tmp_path, vector=EVENTS)
    row_id, offset, vector = a_row(paths["vector"])
    flip_in(paths["vector"], vector, 9)
    memory_id, _, version = row_id.rpartition(":")
    for of in (1, 4):
        assert scrubbed(log, paths, of) == [
            Difference(memory_id, f"version {version}", "differs", ("vector",), offset)
        ]


def test_a_quad_that_is_lost_is_found(log: ArchivedLog, tmp_path: Path) -> None:
    paths = built(log, tmp_path, graph=EVENTS)
    with closing(GraphShard(paths["graph"], 0)) as shard:
        triples = shard._store().triples
        triples.remove(next(quad for quad in triples if quad.predicate.value.endswith("wasDerivedFrom")))
    del triples
    for of in (1, 4):
        (one,) = scrubbed(log, paths, of)
        assert (one.what, one.fields) == ("missing", ("wasDerivedFrom",))
        assert one.memory_id
        assert one.offset is not None


def test_a_graph_that_is_written_meanwhile_is_looked_at_again(log: ArchivedLog, tmp_path: Path) -> None:
    paths = built(log, tmp_path, graph=20)
    with folded(log, Slice(0, 1)) as fold, closing(GraphShard(paths["graph"], 0)) as shard:
        steps = scrub_graph(fold, shard)
        assert next(steps) == []
        with folded(log, Slice(0, 1)) as rest:
            rest.read(EVENTS)
            events = [event for event in rest._kept.events if event.offset >= 20]
            shard.apply(events, rest.position)
        assert [one for some in steps for one in some] == [], "every subject looked different at first"
        assert fold.position.offset == EVENTS - 1, "and was compared at the position where the graph stood"


def test_a_graph_that_is_closed_meanwhile_is_left_alone(log: ArchivedLog, tmp_path: Path) -> None:
    paths = built(log, tmp_path, graph=20)
    with folded(log, Slice(0, 1)) as fold, closing(GraphShard(paths["graph"], 0)) as shard:
        steps = scrub_graph(fold, shard)
        assert next(steps) == []
        shard.close()
        with pytest.raises(ViewUnreachable):
            list(steps)
