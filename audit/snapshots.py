"""Snapshots of a topic, archived or not, each as new as the question it is taken for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from memfold.audit.connection import ReadOnlySQL
from memfold.audit.seen import Seen
from memfold.audit.snapshot import Snapshot
from memfold.audit.tail import Tail, TailRows
from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_segments import read_covers
from memfold.projections.archive_source import ArchiveSource

T = TypeVar("T")


class Snapshots:
    """One topic: the archive under `archive` and the tail behind it. One question at a time; safe to share between threads."""

    def __init__(self, sql: ReadOnlySQL, archive: Path, topic: str, partitions: int, tail: Tail) -> None:
        self._sql, self._archive, self._topic = sql, archive, topic
        self._tails = [TailRows(tail, topic, partition) for partition in range(partitions)]
        self.turn = threading.Lock()
        self._seen = Seen()

    def ask(self, question: Callable[[Snapshot], T]) -> T:
        """What a question finds in a snapshot taken after the call. Raises ShardDamaged, LogTruncated, and what the tail raises."""
        return ask([self], lambda taken: question(taken[0]))

    def taken(self) -> Snapshot:
        """The topic as it stands now; whoever takes it holds `turn`."""
        covers = read_covers(self._archive, self._topic)
        tails: list[pa.Table] = []
        for partition, rows in enumerate(self._tails):
            archived = covers[partition][-1].last if partition in covers else -1
            tails.append(rows.after(archived))
        segments = [segment for partition in sorted(covers) for segment in covers[partition]]
        return Snapshot(self._sql, segments, pa.concat_tables(tails), self._topic, self._seen)

    def verify(self) -> None:
        """Read every segment with every check. Raises ShardDamaged, naming the first that fails."""
        source = ArchiveSource(self._archive, verify=True)
        for partition in range(len(self._tails)):
            for _ in source.batches(self._topic, partition):
                pass

    def close(self) -> None:
        """Waits for the question that is being answered."""
        with self.turn:
            pass


def ask(topics: Sequence[Snapshots], question: Callable[[list[Snapshot]], T]) -> T:
    """What a question finds in snapshots of several topics, all taken after the call. Raises as `Snapshots.ask`."""
    with ExitStack() as turns:
        for topic in topics:
            turns.enter_context(topic.turn)
        while True:
            taken = [topic.taken() for topic in topics]
            try:
                return question(taken)
            except (duckdb.Error, FileNotFoundError) as failure:
                # A segment that the archive's writer has replaced since it was listed is found under its new name.
                if all(segment.path.exists() for snapshot in taken for segment in snapshot.segments):
                    for topic in topics:
                        topic.verify()
                    raise ShardDamaged(
                        f"the archive cannot be queried, though each of its segments can be read: {failure}"
                    ) from failure
