"""The archive: every record of a topic's partition as Parquet, exact bytes, in segments named for their offsets.

Small appends are gathered: an append takes in the newest segments while each is small and not much larger than what it is
merged with, writes one file in their place, and removes them. So at most four small files stand at the end of a partition, and
the cost is bounded: a record is written 20 times in all where appends have one record, 8.5 times where they have 100, three
times at 1,000, once at SMALL_ROWS. (Always rewriting the newest small segment would be 2,500, 25, 3 and 1.) Where the removal
is cut short by a crash, old and new files both stay; readers take the longer one, the next writer removes the rest.

Upkeep (`merge`) turns what no append takes in any more into few sorted files, while appends go on.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]

from memfold.memory.errors import MemfoldError, ShardLocked
from memfold.projections.archive_errors import ArchiveGap, ArchiveNotWritten
from memfold.projections.archive_files import read_segment, write_segment
from memfold.projections.archive_merge import Written, remove, write_merged
from memfold.projections.archive_order import LIMIT
from memfold.projections.archive_rows import table_of
from memfold.projections.archive_segments import Segment, cover, segments, topic_directory
from memfold.projections.archive_standing import Standing, next_run, standing
from memfold.projections.durable import sync_directory
from memfold.schemas.records import LogRecord

SMALL_ROWS = 5_000
SMALL_BYTES = 8 * 1024 * 1024
TAKEN_IN = 8
"""A segment is rewritten by an append that, with the segments after it, makes at least an eighth of it."""


class ArchiveShard:
    """The one writer of a partition's archive. Use from one thread at a time; `merge` from one other thread beside it.

    Raises ShardLocked when another process has it, ShardDamaged when offsets are missing.
    """

    def __init__(self, root: Path, topic: str, partition: int) -> None:
        self._root, self._topic, self._partition = root, topic, partition
        self._directory = topic_directory(root, topic)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        self._turn, self._upkeep = threading.Lock(), threading.Lock()
        self._merging: Sequence[Segment] = ()
        self._standings: dict[Segment, Standing] = {}
        try:
            for path in self._directory.glob(f".{topic}-{partition:05d}-*.parquet.merged"):
                path.unlink()
            self._segments = self._recovered()
        except (MemfoldError, OSError):
            self.close()
            raise

    def _locked(self) -> int:
        path = self._directory / f".{self._topic}-{self._partition:05d}.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ShardLocked(
                f"another process archives {self._topic}/{self._partition} (it holds {path}); "
                "stop that worker, or wait until it has gone"
            ) from None
        return lock

    def _recovered(self) -> list[Segment]:
        """The cover, after removing what a crash left beside it."""
        for path in self._directory.glob(f".{self._topic}-{self._partition:05d}-*.parquet.tmp"):
            path.unlink()
        found = [s for s in segments(self._root, self._topic) if s.partition == self._partition]
        chosen = cover(found)
        leftovers = [segment for segment in found if segment not in chosen]
        for whole in chosen:
            if any(whole.first <= segment.last and segment.first <= whole.last for segment in leftovers):
                # Nothing is removed before what replaces it has been read and is there to stay.
                read_segment(whole)
                sync_directory(self._directory)
        for segment in leftovers:
            segment.path.unlink()
        return chosen

    def position(self) -> int:
        """Offset of the last archived record, -1 for none."""
        return self._segments[-1].last if self._segments else -1

    def append(self, records: Sequence[LogRecord]) -> None:
        """Archive records; durable when it returns. Those at or below the position are there already and are ignored.

        Raises ArchiveGap (nothing was written) and ArchiveNotWritten (see `position`; appending the same again is safe).
        """
        with self._turn:
            fresh = [record for record in records if record.offset > self.position()]
            if fresh:
                self._append(fresh)

    def _append(self, fresh: Sequence[LogRecord]) -> None:
        self._check(fresh)
        taken = self._to_take_in(len(fresh))
        table = pa.concat_tables([*(read_segment(segment) for segment in taken), table_of(fresh)])
        first = taken[0].first if taken else fresh[0].offset
        whole = Segment(self._directory, self._topic, self._partition, first, fresh[-1].offset)
        try:
            write_segment(whole, table)
        except OSError:
            # What counts is what is there: the rename may have happened before the failure, and half a file is in the way.
            self._segments = self._recovered()
            raise
        self._segments[len(self._segments) - len(taken) :] = [whole]
        for segment in taken:
            segment.path.unlink()

    def _check(self, fresh: Sequence[LogRecord]) -> None:
        for expected, record in zip(itertools.count(self.position() + 1), fresh, strict=False):
            if (record.topic, record.partition) != (self._topic, self._partition):
                raise ArchiveGap(
                    f"a record of {record.topic}/{record.partition} does not belong to the archive of "
                    f"{self._topic}/{self._partition}"
                )
            if record.offset != expected:
                raise ArchiveGap(
                    f"{self._topic}/{self._partition}: offset {record.offset} came where {expected} follows; "
                    f"nothing was archived, read the log again from {expected}"
                )

    def _to_take_in(self, rows: int) -> list[Segment]:
        """The newest segments that are written again together with `rows` new ones, oldest first."""
        taken: list[Segment] = []
        for segment in reversed(self._segments):
            small = segment.rows < SMALL_ROWS and segment.path.stat().st_size < SMALL_BYTES
            if not small or segment.rows > TAKEN_IN * rows or segment in self._merging:
                break
            taken.append(segment)
            rows += segment.rows
        return taken[::-1]

    def merge(self, today: int, limit: int = LIMIT, *, all_days: bool = False) -> tuple[int, int]:
        """Merge the next segments that are due (see `next_run`): how many there were and how many are in their place; (0, 0) for none.

        Whoever reads meanwhile sees the old set or the new one. Raises ShardDamaged (nothing was merged) and ArchiveNotWritten.
        """
        with self._upkeep:
            with self._turn:
                if self._lock < 0:
                    return 0, 0
                self._standings = {one: self._standings.get(one) or standing(one) for one in self._segments}
                run = next_run(list(self._standings.values()), today, limit, all_days=all_days)
                self._merging = run
            if not run:
                return 0, 0
            try:
                written = write_merged(run, limit)
                with self._turn:
                    self._put_in_place(run, written)
            finally:
                self._merging = ()
            return len(run), len(written)

    def _put_in_place(self, run: Sequence[Segment], written: Written) -> None:
        """The last one first, then the old ones from the first on: so at each step, also after a power cut, `cover` finds a whole log."""
        try:
            for segment, path in reversed(written):
                path.rename(segment.path)
                sync_directory(self._directory)
        except OSError as failure:
            remove(written)
            self._segments = self._recovered()
            raise ArchiveNotWritten(f"{run[0]} cannot be replaced: {failure}; no record is lost") from failure
        new = [segment for segment, _ in written]
        start = self._segments.index(run[0])
        self._segments[start : start + len(run)] = new
        for segment in run:
            self._standings.pop(segment, None)
            if segment not in new:
                segment.path.unlink()
                sync_directory(self._directory)

    def close(self) -> None:
        """Let another writer in; waits for a merge. Closing twice is allowed."""
        with self._upkeep:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1
