"""Writing the archive, beside pyarrow alone writing the same rows: built from the same lists, or from a table that is there already."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from benchmarks.audit import PARTITIONS, Lives
from benchmarks.table import Row, rate
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_rows import SCHEMA, table_of
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord

RECORDS = 100_000
AT_ONCE = (20_000, 1_000)
ROUNDS = 5


def archiving(folder: Path) -> list[Row]:
    """The best of five rounds each, in turn, so that what else the machine does meets both alike."""
    with closing(KeyStore(folder / "archiving-keys.db", bytes(32))) as keys:
        values = [record for record in Lives(keys).records(RECORDS * PARTITIONS) if record[0] == 0][:RECORDS]
    records = [LogRecord(EVENTS, 0, offset, 0, key, value) for offset, (_, key, value) in enumerate(values)]
    return [_row(folder, records, at_once) for at_once in AT_ONCE]


def _row(folder: Path, records: list[LogRecord], at_once: int) -> Row:
    stretches = [records[start : start + at_once] for start in range(0, len(records), at_once)]
    tables = [table_of(stretch) for stretch in stretches]
    listed = [table.to_pydict() for table in tables]
    works: list[Callable[[Path], None]] = [
        lambda place: _archived(place, stretches),
        lambda place: _bare(place, [pa.Table.from_pydict(one, schema=SCHEMA) for one in listed]),
        lambda place: _bare(place, tables),
    ]
    places = (folder / f"archiving-{at_once}-{number}" for number in range(ROUNDS * len(works)))
    taken = [[_seconds(work, next(places)) for work in works] for _ in range(ROUNDS)]
    ours, from_lists, from_tables = (len(records) / min(each) for each in zip(*taken, strict=True))
    share = ours / from_lists
    return Row(
        f"archive writing, {at_once:,} records at a time",
        f"{rate(ours)}, {share:.0%} of pyarrow from lists",
        "60%",
        f"pyarrow, the same rows: from lists {rate(from_lists)}, from finished tables {rate(from_tables)}",
        share >= 0.6,
    )


def _seconds(work: Callable[[Path], None], place: Path) -> float:
    started = time.perf_counter()
    work(place)
    return time.perf_counter() - started


def _archived(root: Path, stretches: list[list[LogRecord]]) -> None:
    with closing(ArchiveShard(root, EVENTS, 0)) as shard:
        for stretch in stretches:
            shard.append(stretch)


def _bare(root: Path, tables: list[pa.Table]) -> None:
    root.mkdir(parents=True)
    for number, table in enumerate(tables):
        pq.write_table(table, root / f"{number}.parquet", compression="zstd")
