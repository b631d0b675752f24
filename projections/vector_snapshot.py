"""One version of a vector shard, read from its files by anybody, beside its writer: nothing is locked and nothing is written.

The position is a row of the table, so the rows and the position of one version belong together. Nothing that another handle has
in memory is used: what is read is what stands on the disk, or in the system's cache of it.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.memory.errors import ShardDamaged
from memfold.projections.base import Position
from memfold.projections.vector_columns import sorted_columns, values_of
from memfold.projections.vector_errors import lance_errors
from memfold.projections.vector_filter import every, one_of
from memfold.projections.vector_rows import position_of, schema
from memfold.projections.vector_table import IS_POSITION, TABLE

_ASKED = 1_000
TRIES = 300
"""Reads that are spent on finding out which values of a damaged column can still be read."""


class VectorSnapshot:
    """The newest version of the shard in the folder `path`. Raises ShardDamaged, ShardRefused."""

    def __init__(self, path: Path, dimensions: int) -> None:
        self.path, self.dimensions = path, dimensions
        with lance_errors(path):
            session = lancedb.Session(index_cache_size_bytes=1 << 20, metadata_cache_size_bytes=1 << 20)
            self._table = lancedb.connect(path, session=session).open_table(TABLE)
            if not self._table.schema.equals(schema(dimensions)):
                raise ShardDamaged(
                    f"{path} has not the columns of a vector shard of {dimensions} dimensions; "
                    "`memfold replay verify vector --repair` makes it anew"
                )
        self.position = self._position()

    def _position(self) -> Position:
        asked = self._table.search().select(["memory_id", "evt_offset", "metadata"])
        try:
            with lance_errors(self.path):
                found = asked.where(IS_POSITION).to_arrow()
        except ShardDamaged:
            # The index that this looks through may be what is damaged; without it more is read.
            with lance_errors(self.path):
                found = self._table.search().select(["memory_id", "evt_offset", "metadata"]).to_arrow()
            found = found.filter(pc.field("memory_id").is_null())
        if not found.num_rows:
            raise ShardDamaged(
                f"{self.path} has no position; `memfold replay verify vector --repair` makes it anew"
            )
        return position_of(found)

    def columns(self, names: list[str]) -> pa.Table:
        with lance_errors(self.path):
            return sorted_columns(self._table, names)

    def distinct(self, name: str) -> list[str]:
        """The values of a column of text, each once. Raises ShardDamaged."""
        with lance_errors(self.path):
            found = self._table.search().where("memory_id IS NOT NULL").select([name]).to_arrow()
        distinct: list[str] = found[name].unique().to_pylist()
        return distinct

    def values(self, name: str) -> dict[str, Any]:
        """One column by row_id. Raises ShardDamaged."""
        found = self.columns(["row_id", name] if name != "row_id" else [name])
        return dict(zip(found["row_id"].to_pylist(), values_of(found[name]), strict=True))

    def readable(self, name: str) -> tuple[dict[str, Any], bool]:
        """What can be read of a column, and whether that is all of it."""
        try:
            return self.values(name), True
        except ShardDamaged:
            return self._halved(name), False

    def _halved(self, name: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        with lance_errors(self.path):
            left = [(0, self._table.count_rows())]
        for _ in range(TRIES):
            if not left:
                break
            start, stop = left.pop(0)
            try:
                values |= self._between(name, start, stop)
            except ShardDamaged:
                middle = (start + stop) // 2
                left += [(start, middle), (middle, stop)] if stop - start > 1 else []
        return values

    def _between(self, name: str, start: int, stop: int) -> dict[str, Any]:
        with lance_errors(self.path):
            asked = self._table.take_offsets(list(range(start, stop)))
            found = asked.select(list(dict.fromkeys(["row_id", "memory_id", name]))).to_arrow()
        both = zip(
            found["row_id"].to_pylist(), found["memory_id"].to_pylist(), values_of(found[name]), strict=True
        )
        return {row_id: value for row_id, memory_id, value in both if memory_id is not None}

    def twice(self) -> set[str]:
        """The row ids that more than one row has. Raises ShardDamaged."""
        counts = Counter(self.columns(["row_id"])["row_id"].to_pylist())
        return {row_id for row_id, count in counts.items() if count > 1}

    def found_by(self, column: str, values: Sequence[str]) -> set[str]:
        """The ids of the rows that a search by this column finds, through its index. Raises ShardDamaged."""
        found = self._found(column, values, ["row_id"])
        return {row_id for rows in found for row_id in rows["row_id"].to_pylist()}

    def rows_of(self, column: str, values: Sequence[str]) -> pa.Table:
        """Whole rows, but for the position, found by this column. Raises ShardDamaged."""
        tables = list(self._found(column, values, schema(self.dimensions).names))
        return pa.concat_tables(tables) if tables else schema(self.dimensions).empty_table()

    def _found(self, column: str, values: Sequence[str], names: list[str]) -> Iterator[pa.Table]:
        for start in range(0, len(values), _ASKED):
            condition = every(one_of(column, values[start : start + _ASKED]), "memory_id IS NOT NULL")
            with lance_errors(self.path):
                yield self._table.search().where(condition).select(names).to_arrow()


def link_files(path: Path, to: Path) -> None:
    """Make `to` a copy of the shard in `path`, of hard links: Lance writes no file twice. Its writer may go on.

    A file that goes meanwhile belongs to an old version; the newest one's stay for minutes (`vector_upkeep.KEEP`), so the manifests
    are linked first.
    """
    table = path / f"{TABLE}.lance"
    for folder in ("_versions", *_folders(table)):
        for found in sorted((table / folder).rglob("*")):
            target = to / f"{TABLE}.lance" / found.relative_to(table)
            if found.is_file() and found.suffix != ".json":
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(found, target)


def _folders(table: Path) -> Iterable[str]:
    return sorted(found.name for found in table.iterdir() if found.is_dir() and found.name != "_versions")


def _link(found: Path, target: Path) -> None:
    try:
        os.link(found, target)
    except FileNotFoundError:
        return
    except OSError:
        # A file system without links.
        shutil.copyfile(found, target)
