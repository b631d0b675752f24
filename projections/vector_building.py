"""Indices are built beside the fold: a thread with a handle of its own trains them, and events are applied meanwhile.

LanceDB commits optimistically. An index that was trained on one version and commits on a later one is of the rows that it has seen; a
search compares the newer ones, so nothing is missing and no write waits or is lost. What is killed in the middle has committed nothing,
and the index that was there is still there. Only upkeep waits: it rewrites the files that an index being trained points into.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import lancedb

from memfold.memory.errors import MemfoldError
from memfold.projections.vector_ann import WideIndices
from memfold.projections.vector_errors import lance_errors

logger = logging.getLogger(__name__)


class Building:
    """Of one table, begun and ended by its writer; one build at a time."""

    def __init__(self, path: Path, table: str, wide: WideIndices) -> None:
        self._path, self._table, self._wide = path, table, wide
        self._thread: threading.Thread | None = None
        self._begun = self._seen = 0
        self._failed: MemfoldError | OSError | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        """Build what is missing, and return at once."""
        self._failed = None
        # A daemon: a process that ends without closing its shard must not wait for an index.
        self._thread = threading.Thread(target=self._run, name=f"index {self._path.name}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for its end, if it runs. Raises what it failed with: ShardDamaged, ShardRefused."""
        if self._thread is not None:
            self._thread.join()
        if self._failed is not None:
            raise self._failed

    def may_have_made(self) -> int:
        """How many versions of the table may be its own that were not yet seen."""
        return self._begun - self._seen

    def saw(self, versions: int) -> None:
        self._seen += versions

    def forget(self) -> None:
        """It has ended, and what it made was seen: what it began and did not commit will not come."""
        self._seen = self._begun

    def _run(self) -> None:
        try:
            with lance_errors(self._path):
                table = lancedb.connect(self._path).open_table(self._table)
                for step in self._wide.steps(table):
                    self._begun += 1  # before: the writer may see the version before this thread goes on
                    step()
        except (MemfoldError, OSError) as failed:
            self._failed = failed
            logger.warning(
                "an index of %s was not built (%s); searches go on without, the next upkeep tries again",
                self._path,
                failed,
            )
