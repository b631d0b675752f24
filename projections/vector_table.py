"""The vector shard on disk: one LanceDB table, and its position as rows of that table.

A commit is one batch: its rows and one more row that says up to where the log is applied; of these the highest offset counts,
and upkeep removes the others. New rows are appended; where rows change, the batch is one `merge_insert` on `row_id`. Appending
costs half of merging, and most batches only add.

Only the writer that knows the table's newest version may commit to it. The shard's lock keeps others away; this check finds
them where a lock does not reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import lancedb
import pyarrow as pa  # type: ignore[import-untyped]
from lancedb.index import BTree

from memfold.memory.errors import InvalidInput, ShardDamaged, ShardLocked
from memfold.projections.base import Position
from memfold.projections.index_above import INDEX_ABOVE
from memfold.projections.vector_ann import WideIndices
from memfold.projections.vector_building import Building
from memfold.projections.vector_columns import sorted_columns
from memfold.projections.vector_errors import lance_errors
from memfold.projections.vector_filter import CURRENT, equal, every, one_of
from memfold.projections.vector_fold import Touched
from memfold.projections.vector_rows import COLUMNS, Row, batch_of, position_of, rows_of, schema
from memfold.projections.vector_upkeep import Upkeep

TABLE = "memories"
INDEXED = ("subject", "memory_id")
"""`row_id` has no index on purpose: it makes a merge of 5,000 rows a third slower and no merge faster up to 125,000 rows."""
CACHE = 16 * 2**20
"""Of each kind, for each table that is written: the metadata of every commit fills it, and a worker has a table for each partition. Not
shared among them: a shard that is opened anew would not notice what has become of its files meanwhile.
"""
IS_POSITION = "memory_id IS NULL"
_ASKED = 1_000
_ONE_OF_TWO = "stop one of the two workers, then `memfold replay verify`"


class VectorTable:
    """For one writer, one thread at a time. Raises ShardDamaged, ShardRefused; InvalidInput for other dimensions.

    `sound`: no write has failed since the last that did not. Its tail's are told here too.
    """

    def __init__(self, path: Path, dimensions: int, index_above: int | None = INDEX_ABOVE) -> None:
        self.path, self.dimensions, self._wide = path, dimensions, WideIndices(index_above)
        with lance_errors(path):
            session = lancedb.Session(index_cache_size_bytes=CACHE, metadata_cache_size_bytes=CACHE)
            self._database = lancedb.connect(path, session=session)
            if is_there(path):
                self._table = self._database.open_table(TABLE)
            else:
                first = batch_of([], Position(), dimensions)
                self._table = self._database.create_table(TABLE, first, on_bad_vectors="null")
            self._check_columns()
            self._index()
            self.position = self._read_position()
            self._version, self.sound = self._table.version, True
            self._upkeep = Upkeep(self._table.count_rows())
            self._building = Building(path, TABLE, self._wide)
        self._versions, self._checked = path / f"{TABLE}.lance" / "_versions", 0

    def load(self, touched: Touched) -> Iterator[Row]:
        """Every row of the memories, and the current rows of the subjects and tenants; none twice."""
        given: set[str] = set()
        for condition in _conditions(touched):
            with lance_errors(self.path):
                found = self._table.search().where(condition).to_arrow()
            for row in rows_of(found):
                if row.row_id not in given:
                    given.add(row.row_id)
                    yield row

    def memory_ids(self) -> Iterator[str]:
        """Of all rows."""
        with lance_errors(self.path):
            column = self._table.search().select(["memory_id"]).to_arrow()["memory_id"]
        for chunk in column.chunks:
            yield from (memory_id for memory_id in chunk.to_pylist() if memory_id is not None)

    def all_rows(self) -> list[Row]:
        """All but the position, by row_id."""
        return rows_of(self.columns([*COLUMNS]))

    def columns(self, names: list[str]) -> pa.Table:
        """These columns of all rows but the position, by row_id."""
        with lance_errors(self.path):
            return sorted_columns(self._table, names)

    def commit(self, rows: list[Row], position: Position, all_new: bool) -> None:
        """Write the rows and the position. Raises InvalidInput and ShardLocked before anything is written.

        `all_new`: none of the rows is in the table.
        """
        batch = batch_of(rows, position, self.dimensions)
        self.sound = False
        with lance_errors(self.path):
            self._refuse_other_writers()
            if all_new:
                written = self._table.add(batch).version
            else:
                merge = self._table.merge_insert("row_id").when_matched_update_all()
                written = merge.when_not_matched_insert_all().execute(batch, on_bad_vectors="null").version
        if not self._only_built(written - 1):
            raise ShardLocked(f"another writer committed to {self.path} at the same time; {_ONE_OF_TWO}")
        self._version, self.position, self.sound = written, position, True
        self._upkeep.written(len(rows))

    def keep_up(self) -> None:
        """Upkeep, when it is due. While rows pour in, as in a rebuild, indices across subjects wait until `settle`."""
        if self._upkeep.due() and not self._building.running:
            pouring = self._upkeep.pouring()
            self._keep_up()
            if not pouring and self._to_build():
                self._building.begin()

    def settle(self) -> None:
        """Upkeep, when it is worth its while, and indices: before the shard is left alone. Not after an error, which it would only repeat.

        Waits for an index that is being built even then: its commit must not fall into the next writer's time.
        """
        try:
            self._building.finish()
        finally:
            if self.sound and (self._upkeep.worthwhile() or self._to_build()):
                self._keep_up()
                if self._to_build():
                    self._building.begin()
                    self._building.finish()

    def _to_build(self) -> bool:
        with lance_errors(self.path):
            return bool(self._wide.steps(self._table))

    def _keep_up(self) -> None:
        self.sound = False
        with lance_errors(self.path):
            self._refuse_other_writers()
            try:
                self._upkeep.run(self._table)
                self._table.delete(every(IS_POSITION, f"evt_offset < {self.position.offset}"))
            finally:
                # Upkeep that fails half way has made versions too, and they are this writer's.
                self._version = self._table.version
        self.sound = True

    def check_alone(self) -> None:
        """Raises ShardLocked where somebody else has committed, as `commit` does; asks LanceDB only if there are new versions."""
        with lance_errors(self.path):
            changed = self._versions.stat().st_mtime_ns
            if changed != self._checked:
                self._refuse_other_writers()
                self._checked = changed

    def _refuse_other_writers(self) -> None:
        over = not self._building.running
        self._table.checkout_latest()  # type: ignore[no-untyped-call]
        if not self._only_built(self._table.version):
            raise ShardLocked(
                f"another writer has brought {self.path} to version {self._table.version}, "
                f"this one left it at {self._version}; {_ONE_OF_TWO}"
            )
        if over:
            self._building.forget()

    def _only_built(self, version: int) -> bool:
        """Whether nobody but this writer and its own building made the versions up to this one; they count as seen then."""
        newer = version - self._version
        if not 0 <= newer <= self._building.may_have_made():
            return False
        self._building.saw(newer)
        self._version = version
        return True

    def _check_columns(self) -> None:
        found, wanted = self._table.schema, schema(self.dimensions)
        if found.names == wanted.names and found.field("vector").type != wanted.field("vector").type:
            raise InvalidInput(
                f"{self.path} holds vectors of {found.field('vector').type.list_size} dimensions, the embedder gives "
                f"{self.dimensions}; another embedding model needs a new generation: `memfold replay rebuild vector --embedder NAME`"
            )
        if not found.equals(wanted):
            raise ShardDamaged(
                f"{self.path} has not the columns of a vector shard; `memfold replay rebuild` makes it anew"
            )

    def _index(self) -> None:
        """Also after a crash between the table's creation and an index."""
        there = {column for index in self._table.list_indices() for column in index.columns}
        for column in INDEXED:
            if column not in there:
                self._table.create_index(column, config=BTree())

    def _read_position(self) -> Position:
        found = self._table.search().where(IS_POSITION).select(["evt_offset", "metadata"]).to_arrow()
        if not found.num_rows:
            raise ShardDamaged(
                f"{self.path} has no position; `memfold replay rebuild` makes it anew from the log"
            )
        return position_of(found)


def is_there(path: Path) -> bool:
    """Whether a shard was ever committed at a path; a table's folder may be older than its first commit."""
    return any((path / f"{TABLE}.lance" / "_versions").glob("*.manifest"))


def _conditions(touched: Touched) -> Iterable[str]:
    ids = sorted(touched.memories)
    for start in range(0, len(ids), _ASKED):
        yield one_of("memory_id", ids[start : start + _ASKED])
    for tenant, subject in sorted(touched.subjects):
        yield every(equal("subject", subject), equal("tenant", tenant), CURRENT)
    for tenant in sorted(touched.tenants):
        yield every(equal("tenant", tenant), CURRENT)
