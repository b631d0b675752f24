"""One slice of subjects beside the served shards of their partition, in steps of milliseconds between which the caller may rest.

A snapshot of the vectors has its position in it. The graph is looked at subject by subject while its writer goes on; what then
looks different is looked at again with the writer standing still, with the log read to the very same offset.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Iterator
from functools import partial

import pyoxigraph as ox
from msgspec.structs import replace

from memfold.projections.base import Position
from memfold.projections.difference import Difference, What
from memfold.projections.graph import GraphShard
from memfold.projections.graph_compare import of_subject, subjects_in
from memfold.projections.graph_terms import graph_iri
from memfold.projections.vector_compare import compare, of_rows
from memfold.projections.vector_rows import rows_of
from memfold.projections.vector_snapshot import VectorSnapshot
from memfold.replay.sliced_log import SlicedLog
from memfold.replay.slices import Slice, SliceFold

NOT_INDEXED: What = "not indexed"
AT_ONCE = 2_000
"""Records read in one step."""
SUBJECTS_LOOKED_UP = 20
"""Of a slice: those whose quads are looked for in every index of the graph, which takes ten times as long as reading them."""


def read_slice(fold: SliceFold, end: int) -> Iterator[list[Difference]]:
    """Read the log up to `end`, a step at a time; finds nothing."""
    while fold.position.offset + 1 < end:
        fold.read(min(end, fold.position.offset + 1 + AT_ONCE))
        yield []


def read_copy(fold: SliceFold, copy: SlicedLog, end: int) -> Iterator[list[Difference]]:
    """The same by way of a copy that serves the other slices too: of the log only what the copy has not got yet is read.

    Raises NoRoom, ShardDamaged for a copy that cannot be trusted, and as reading the log does.
    """
    while copy.position.offset + 1 < end:
        copy.read(min(end, copy.position.offset + 1 + AT_ONCE))
        yield []
    for records in copy.records_of(fold.piece.number):
        fold.take(records, copy.position)
        yield []
    fold.take([], copy.position)


def scrub_vectors(fold: SliceFold, snapshot: Callable[[], VectorSnapshot]) -> Iterator[list[Difference]]:
    """What the served vectors hold otherwise of the slice. Raises ShardDamaged, and as reading the log does."""
    served = snapshot()
    fold.read(served.position.offset + 1)
    expected = fold.rows(served.position.offset)
    yield []
    subjects = {row.subject for row in expected} | {
        subject for subject in served.distinct("subject") if fold.piece.has(subject)
    }
    yield []
    found = rows_of(served.rows_of("subject", sorted(subjects)))
    yield []
    wrong = compare(of_rows(found), of_rows(expected))
    yield []
    there = _row_ids(served, fold.piece) if any(one.what == "missing" for one in wrong) else set()
    yield [_indexed(one, there) for one in wrong]


def _row_ids(served: VectorSnapshot, piece: Slice) -> set[str]:
    """Those of a slice, by looking at every row."""
    placed = served.columns(["row_id", "subject"]).to_pydict()
    both = zip(placed["row_id"], placed["subject"], strict=True)
    return {row_id for row_id, subject in both if piece.has(subject)}


def _indexed(one: Difference, there: Container[str]) -> Difference:
    """A row that a search does not find, and a scan does, is not missing."""
    hidden = one.what == "missing" and f"{one.memory_id}:{one.part.removeprefix('version ')}" in there
    return replace(one, what=NOT_INDEXED) if hidden else one


def scrub_graph(fold: SliceFold, shard: GraphShard) -> Iterator[list[Difference]]:
    """The same of the graph. Raises ViewUnreachable where the shard was closed meanwhile, ShardDamaged, and as reading the log does."""
    at = shard.position().offset
    fold.read(at + 1)
    built, graphs = fold.graphs(at)
    subjects = {graph_iri(graph) for graph in graphs}
    there = shard.standing_still(lambda triples, _: subjects_in(triples))
    subjects |= {iri for iri in there if fold.piece.has(iri.rpartition("/")[2])}
    yield []
    doubtful: list[str] = []
    thorough = set(random.sample(sorted(subjects), min(SUBJECTS_LOOKED_UP, len(subjects))))
    for subject in sorted(subjects):
        if shard.standing_still(partial(_beside, built, subject, subject in thorough)):
            doubtful.append(subject)
        yield []
    for subject in doubtful:
        yield _for_certain(fold, shard, subject, subject in thorough)


def _beside(
    built: ox.Store, subject: str, thorough: bool, triples: ox.Store, _: Position
) -> list[Difference]:
    return of_subject(triples, built, subject, thorough)


def _for_certain(fold: SliceFold, shard: GraphShard, subject: str, thorough: bool) -> list[Difference]:
    def beside_the_log(triples: ox.Store, position: Position) -> list[Difference]:
        # Seldom anything: what its writer folded in the moment before.
        fold.read(position.offset + 1)
        built, _ = fold.graphs(position.offset)
        return of_subject(triples, built, subject, thorough)

    # To the end of the log, and before: where the broker is away its writer and who asks it would wait for that as well.
    fold.read(fold.end())
    return shard.standing_still(beside_the_log)
