"""The graph on disk: one Oxigraph store, its writer's lock, and commits that are whole or not there.

Two ways to commit, both one atomic step under kill -9, chosen by size. A small batch is one SPARQL update: one write batch in
RocksDB's log. A large one is one bulk load: sorted files that RocksDB takes in through one record of its manifest, four times
as fast. A bulk load can add but not remove, so it is marked as unfinished (`mf:unfinished`) until what has to go is removed
right after; if the process dies between the two, the next `open` does it: what went follows from what was added.
Oxigraph documents the update as transactional; that the bulk load is atomic follows from its source (a BulkLoader without
`without_atomicity`), and a test that kills it in the middle holds it.

Both survive the death of the process, not a power cut: an update stays in the page cache until `flush`.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pyoxigraph as ox
from msgspec import structs

from memfold.memory.errors import MemfoldError, ShardDamaged, ShardLocked
from memfold.projections.base import Position
from memfold.projections.graph_quads import Quad, as_trig, as_update
from memfold.projections.graph_reading import left_behind
from memfold.projections.graph_terms import BASE, VOCABULARY, XSD, named

POSITION = BASE + "position"
UNFINISHED = VOCABULARY + "unfinished"
BULK = 4_000
"""Quads from which on a bulk load (some 25 ms and 6 µs a quad) costs less than an update (13 to 20 µs a quad)."""
FLUSH = 50_000
"""Quads after which updates are written out of memory: bounds what they hold there, and the time to open after a crash."""

REMOVED_AT_ONCE = 10_000
"""Quads that one update removes after a bulk load: its memory, and the time that Oxigraph takes for one, grow with them."""

STORE, LOCK = "oxigraph", "writer.lock"
_PLACED = f"SELECT ?node ?field ?value {{ GRAPH {named(POSITION)} {{ ?node ?field ?value }} }}"
_INTEGER = ox.NamedNode(XSD + "integer")


class GraphStore:
    """The store in the folder `path`, for one writer. Raises ShardLocked, ShardDamaged.

    `read_only`: for any number of readers of a store that nobody writes any more; beside a writer Oxigraph promises nothing.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._path, self._read_only = path, read_only
        if not read_only:
            path.mkdir(parents=True, exist_ok=True)
        self._lock = (path / LOCK).open("r" if read_only else "a")
        self._placed: list[Quad] = []
        self._unflushed = 0
        try:
            fcntl.flock(self._lock, (fcntl.LOCK_SH if read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            with self.reading():
                folder = str(path / STORE)
                self.triples = ox.Store.read_only(folder) if read_only else ox.Store(folder)
                self._load_position()
        except BaseException as error:
            self.abandon()
            if isinstance(error, OSError) and (isinstance(error, BlockingIOError) or "/LOCK:" in str(error)):
                raise ShardLocked(
                    f"{path} is open for writing elsewhere; stop that worker, or wait until it has gone"
                ) from error
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What Oxigraph raises inside becomes ShardDamaged. OSErrors (no space, no rights) pass as they are."""
        try:
            yield
        except MemfoldError:
            raise
        except RuntimeError as error:
            raise ShardDamaged(
                f"the graph in {self._path} cannot be read ({error}); `memfold replay rebuild` makes it anew from the log"
            ) from error

    def commit(self, added: Sequence[Quad], removed: Sequence[Quad], position: Position) -> None:
        """Add and remove quads and move the position, in one atomic step. No quad may be in both."""
        if len(added) + len(removed) < BULK:
            self._update(added, removed, position)
        else:
            self._bulk_load(added, removed, position)
        self.position = position

    def _update(self, added: Sequence[Quad], removed: Sequence[Quad], position: Position) -> None:
        placed, before = self._position_quads(position), self._placed
        gone, came = (
            (quad for quad in before if quad not in placed),
            (quad for quad in placed if quad not in before),
        )
        self.triples.update(as_update([*removed, *gone], [*added, *came]))
        self._placed = placed
        self._unflushed += len(added) + len(removed)
        if self._unflushed > FLUSH:
            self.triples.flush()
            self._unflushed = 0

    def _bulk_load(self, added: Sequence[Quad], removed: Sequence[Quad], position: Position) -> None:
        # The old position stays until the next update: the highest number counts, and one removal here would make RocksDB
        # write out its memory before every bulk load.
        self._number += 1
        placed = self._position_quads(position)
        unfinished = (named(POSITION), f"{named(self._node())} {named(UNFINISHED)} {ox.Literal(True)}")
        mark = [unfinished] if removed else []
        text = as_trig([*added, *placed, *mark]).encode()
        self.triples.bulk_load(text, format=ox.RdfFormat.TRIG, lenient=True)
        self._placed += placed
        self._finish([*removed, *mark])

    def _finish(self, removed: Sequence[Quad]) -> None:
        """Remove quads in several steps; the last one is the mark that some are left."""
        for start in range(0, len(removed), REMOVED_AT_ONCE):
            self.triples.update(as_update(removed[start : start + REMOVED_AT_ONCE], []))

    def _node(self) -> str:
        return f"{POSITION}/{self._number}"

    def _position_quads(self, position: Position) -> list[Quad]:
        """Numbers in quads of their own, because Oxigraph keeps them in the index and every text forever."""
        node, graph = named(self._node()), named(POSITION)
        return [
            (graph, f"{node} {named(VOCABULARY + field)} {ox.Literal(str(value), datatype=_INTEGER)}")
            for field, value in structs.asdict(position).items()
        ]

    def _load_position(self) -> None:
        """Read the position of the newest commit; finish it if it is a bulk load whose process died."""
        self._number, self.position, self._placed, marks = placed_in(self.triples)
        if marks:
            self._finish([*left_behind(self.triples), *marks])

    def copy(self, to: Path) -> None:
        """Make `to` a copy as it stands now, of hard links where the file system has them. Raises OSError where it exists."""
        to.mkdir(parents=True)
        self.triples.backup(to / STORE)

    def close(self) -> None:
        """Write everything out and let the next writer in. Raises ShardDamaged; then too the next one may come."""
        try:
            if not self._read_only:
                with self.reading():
                    self.triples.flush()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let the next writer in; what it opens is as a crash would leave it."""
        # Oxigraph closes a store when nothing refers to it, and an error's traceback refers to this object.
        self.__dict__.pop("triples", None)
        self._lock.close()


def placed_in(triples: ox.Store) -> tuple[int, Position, list[Quad], list[Quad]]:
    """The newest commit's number and position, the quads that say so, and the marks of a bulk load that did not end."""
    placed: list[Quad] = []
    marks: list[Quad] = []
    values: dict[int, dict[str, int]] = {0: {}}
    for node, field, value in cast(ox.QuerySolutions, triples.query(_PLACED)):
        quad = (named(POSITION), f"{node} {field} {value}")
        if field.value == UNFINISHED:
            marks.append(quad)
        else:
            placed.append(quad)
            number = int(node.value.rpartition("/")[2])
            values.setdefault(number, {})[field.value.removeprefix(VOCABULARY)] = int(value.value)
    newest = max(values)
    return newest, Position(**values[newest]), placed, marks
